//! Files on disk: the configuration itself, secrets, templates, certificates.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::config::Problem;
use crate::config::load;
use crate::config::tests::SOUND;

const SECRET: &str = "marker-4711-secret";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
    }
    folder
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The sound file with its secret in a file.
fn with_secret_file() -> String {
    SOUND.replace("{env: CORP_SECRET}", "{file: secrets/corp}")
}

fn lines(problems: &[Problem]) -> Vec<String> {
    let first = |problem: &Problem| problem.to_string().lines().next().unwrap().to_owned();
    problems.iter().map(first).collect()
}

#[test]
fn a_secret_file_is_read_beside_the_configuration_and_trimmed() {
    let text = with_secret_file();
    let folder = folder(&[
        ("gateway.yaml", &text),
        ("secrets/corp", &format!("{SECRET}\r\n")),
    ]);
    let loaded = load(&folder.path().join("gateway.yaml")).unwrap();
    assert_eq!(lines(&loaded.warnings), Vec::<String>::new());
    let provider = loaded.settings.identity_providers.first().unwrap();
    assert_eq!(provider.client_secret.as_ref().unwrap().expose(), SECRET);
    assert!(!format!("{:?}", loaded.settings).contains(SECRET));
}

#[test]
fn a_secret_file_that_all_can_read_is_a_warning() {
    let text = with_secret_file();
    let folder = folder(&[("gateway.yaml", &text), ("secrets/corp", SECRET)]);
    set_mode(&folder.path().join("secrets/corp"), 0o644);
    let path = folder.path().join("gateway.yaml");
    let loaded = load(&path).unwrap();
    let expected = format!(
        "{}:7:20: warning: identity_providers[0].client_secret: every user of this machine can read \
         `secrets/corp` (mode 0644)",
        path.display()
    );
    assert_eq!(lines(&loaded.warnings), [expected]);
}

#[test]
fn a_secret_file_that_is_empty_or_large_or_no_file_is_refused() {
    let text = with_secret_file();
    for (content, said) in [
        ("\n", "is empty"),
        ("", "is empty"),
        (
            &*"x".repeat(2 * 1024 * 1024),
            "is larger than 1048576 bytes",
        ),
    ] {
        let folder = folder(&[("gateway.yaml", &text), ("secrets/corp", content)]);
        let problems = load(&folder.path().join("gateway.yaml")).unwrap_err();
        assert!(lines(&problems).concat().ends_with(said), "{said}");
    }
    let folder = folder(&[("gateway.yaml", &text), ("secrets/corp/x", "")]);
    let problems = load(&folder.path().join("gateway.yaml")).unwrap_err();
    assert!(lines(&problems).concat().ends_with("is not a regular file"));
}

#[test]
fn a_configuration_that_is_missing_or_a_folder_is_refused() {
    let folder = folder(&[]);
    for (name, said) in [("none.yaml", "cannot be read"), ("", "this is a folder")] {
        let problems = load(&folder.path().join(name)).unwrap_err();
        assert!(lines(&problems).concat().contains(said), "{said}");
    }
}

#[test]
fn a_link_to_a_configuration_is_followed_and_paths_start_at_the_link() {
    let text = with_secret_file();
    let folder = folder(&[("versions/1.yaml", &text), ("secrets/corp", SECRET)]);
    let link = folder.path().join("gateway.yaml");
    std::os::unix::fs::symlink("versions/1.yaml", &link).unwrap();
    assert!(load(&link).is_ok());
}

#[test]
fn a_template_replaces_a_page_of_its_name() {
    let text = SOUND
        .replace("routes:", "templates: {dir: pages}\nroutes:")
        .replace("{env: CORP_SECRET}", "{file: corp}");
    let sound = [
        ("gateway.yaml", text.as_str()),
        ("corp", SECRET),
        ("pages/error.html", "<p>oh</p>"),
        ("pages/.git", ""),
    ];
    let loaded = load(&folder(&sound).path().join("gateway.yaml")).unwrap();
    let names: Vec<&str> = loaded
        .settings
        .templates
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["error.html"]);

    let broken = folder(&[&sound[..], &[("pages/chooser.html", "a\n{{ oh")]].concat());
    let problems = load(&broken.path().join("gateway.yaml")).unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .contains("templates.dir: chooser.html:2: "),
        "{}",
        problems[0]
    );

    let misspelt = folder(&[&sound[..], &[("pages/eror.html", "")]].concat());
    let problems = load(&misspelt.path().join("gateway.yaml")).unwrap_err();
    let [problem] = problems.as_slice() else {
        panic!("there is one problem: {problems:?}")
    };
    assert!(
        problem
            .to_string()
            .contains("templates.dir: no page uses the template `eror.html`\n")
    );
    assert!(
        problem
            .to_string()
            .ends_with("help: did you mean `error.html`?")
    );
}

#[test]
fn certificates_and_keys_are_looked_into() {
    let made = rcgen::generate_simple_self_signed(vec!["wiki.example.com".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let text = SOUND.replace("{env: CORP_SECRET}", "{file: corp}").replace(
        "127.0.0.1:8080\n",
        "127.0.0.1:8080\n    tls: {certificates: [{certificate: c.pem, private_key: k.pem}]}\n",
    );
    let check = |certificate: &str, key: &str, expected: &[&str]| {
        let folder = folder(&[
            ("gateway.yaml", &text),
            ("corp", SECRET),
            ("c.pem", certificate),
            ("k.pem", key),
        ]);
        let found = load(&folder.path().join("gateway.yaml"));
        let problems = found.err().unwrap_or_default();
        let messages: Vec<&str> = problems.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(messages, expected);
    };
    check(&certificate, &key, &[]);
    check(
        &key,
        &certificate,
        &[
            "`c.pem` holds no certificate",
            "`k.pem` holds no private key",
        ],
    );
    check("", &key, &["`c.pem` holds no certificate"]);
    let cut = certificate.get(..certificate.len() / 2).unwrap();
    check(cut, &key, &["`c.pem` holds no certificate"]);
}
