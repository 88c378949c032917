//! A store that takes nothing more: what cannot be kept is not issued, and what was not issued is not kept.

use super::*;
use crate::support::disk::Disk;
use crate::support::disk::Fault;

/// More than the calls of the longest change of the store.
const CALLS: u32 = 48;

fn world(disk: &Disk) -> World {
    let mut setup = local("");
    setup.environment = disk.environment();
    World::with(&setup)
}

/// How many things are in the store.
fn kept(world: &World) -> i64 {
    let store = rusqlite::Connection::open(world.gateway.path("state.db")).unwrap();
    let count = store.query_row("SELECT count(*) FROM record", [], |row| row.get(0));
    count.unwrap()
}

/// Empties the write-ahead log, so that the next write begins it anew and has to make that durable.
fn checkpoint(world: &World) {
    let store = rusqlite::Connection::open(world.gateway.path("state.db")).unwrap();
    let busy: i64 = store
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(busy, 0);
}

#[track_caller]
fn assert_unavailable(answer: &Response) {
    assert_refused(answer, 503, "server_error");
    assert!(answer.header("retry-after").parse::<u32>().is_ok());
}

#[test]
fn j07_a_store_that_cannot_be_written_issues_nothing() {
    for fault in [Fault::Full, Fault::ReadOnly, Fault::NotDurable] {
        let disk = Disk::healthy();
        let mut world = world(&disk);
        let mut user = signed_in(&world, "alice");
        let code = next_code(&world, &mut user, &[("scope", OFFLINE)]);
        let mine = tokens(&world, &mut user, OFFLINE);
        let (access, refresh) = (text(&mine, "access_token"), text(&mine, "refresh_token"));
        let mut stranger = world.browser();
        let first = stranger.get(&authorize_url(&world, &[]));
        let page = to_client(&mut stranger, first);
        let before = kept(&world);
        let break_down = || {
            checkpoint(&world);
            disk.fail(fault, 0);
        };
        for _ in 0..2 {
            break_down();
            assert_unavailable(&redeem(&world, &code));
            break_down();
            assert_unavailable(&as_shop(&world, "/token", &renewal(refresh)));
            // A token that could not be taken back must not pass for one that was.
            for token in [access, refresh] {
                break_down();
                assert_unavailable(&as_shop(&world, "/revoke", &[("token", token)]));
            }
            break_down();
            let told = answer(&user.get(&authorize_url(&world, &[])));
            assert_eq!(
                value(&told, "error"),
                "temporarily_unavailable",
                "{fault:?}"
            );
            assert!(!told.iter().any(|(name, _)| name == "code"));
            break_down();
            let refused = sign_in(&world, &mut stranger.clone(), &page, "alice");
            assert_eq!(refused.status, 503, "{fault:?}: {}", refused.text());
            assert!(
                refused
                    .all("set-cookie")
                    .iter()
                    .all(|line| !line.starts_with("vestibule="))
            );
            // What only reads goes on.
            assert_eq!(userinfo(&world, access), 200, "{fault:?}");
        }
        assert!(world.gateway.metric("vestibule_store_errors_total") > 0);
        assert_eq!(world.gateway.admin("/livez").unwrap().status, 200);
        disk.heal();
        assert_eq!(
            kept(&world),
            before,
            "{fault:?}: nothing is left of what was refused"
        );
        world.gateway.signal("KILL");
        world.gateway.wait_for_end();
        world.gateway.start_again();
        assert_eq!(kept(&world), before, "{fault:?}");
        // What was issued before is good still, and what was refused was not spent.
        assert_eq!(userinfo(&world, access), 200, "{fault:?}");
        assert_eq!(redeem(&world, &code).status, 200, "{fault:?}");
        assert_eq!(as_shop(&world, "/token", &renewal(refresh)).status, 200);
        let done = sign_in(&world, &mut stranger, &page, "alice");
        super::code(&world, &done);
    }
}

/// Wherever in the middle of its writes the disk gets full: of a code come tokens once, or never.
#[test]
fn j07_a_disk_that_gets_full_in_between_leaves_nothing_half_issued() {
    let disk = Disk::healthy();
    let mut world = world(&disk);
    let mut user = signed_in(&world, "alice");
    let mut refused = Vec::new();
    let mut statuses = std::collections::BTreeMap::new();
    for skip in 0..CALLS {
        let code = next_code(&world, &mut user, &[("scope", OFFLINE)]);
        let mine = tokens(&world, &mut user, OFFLINE);
        disk.fail(Fault::Full, skip);
        let redeemed = redeem(&world, &code);
        disk.heal();
        disk.fail(Fault::Full, skip);
        let renewed = as_shop(&world, "/token", &renewal(text(&mine, "refresh_token")));
        disk.heal();
        *statuses
            .entry((redeemed.status, renewed.status))
            .or_insert(0) += 1;
        match redeemed.status {
            200 => {
                let given = noted(&world, redeemed.json());
                assert_eq!(userinfo(&world, text(&given, "access_token")), 200);
            }
            _ => {
                assert_unavailable(&redeemed);
                refused.push(code);
            }
        }
        // Whether the answer came or not, the client tries again and has the one successor.
        let retried = as_shop(&world, "/token", &renewal(text(&mine, "refresh_token")));
        assert_eq!(retried.status, 200, "{skip}: {}", retried.text());
        let retried = noted(&world, retried.json());
        if renewed.status == 200 {
            let renewed = noted(&world, renewed.json());
            assert_eq!(renewed["refresh_token"], retried["refresh_token"], "{skip}");
        } else {
            assert_unavailable(&renewed);
        }
    }
    assert!(
        statuses.contains_key(&(200, 200)),
        "the last ones got through: {statuses:?}"
    );
    assert!(
        statuses.contains_key(&(503, 200)),
        "a redemption writes more often: {statuses:?}"
    );
    world.gateway.signal("KILL");
    world.gateway.wait_for_end();
    world.gateway.start_again();
    for code in refused {
        let given: Vec<_> = (0..4)
            .map(|_| redeem(&world, &code).status)
            .filter(|status| *status == 200)
            .collect();
        assert!(given.len() <= 1, "{given:?}");
    }
}
