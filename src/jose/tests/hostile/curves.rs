//! Signatures by elliptic curves.

use super::*;

#[test]
fn every_odd_signature_of_a_curve() {
    // The orders of the groups (SEC 2): numbers that are zero under them.
    let order_256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order_384 = "ffffffffffffffffffffffffffffffffffffffffffffffff\
                     c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    for (key, kid, algorithm, fixed, der, order) in [
        (
            &*P256,
            "p256",
            "ES256",
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            order_256,
        ),
        (
            &*P384,
            "p384",
            "ES384",
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            order_384,
        ),
    ] {
        let header = json!({"alg": algorithm, "kid": kid}).to_string();
        let signed = message(&header, &claims().to_string());
        let right = by_ec(key, fixed, &signed);
        assert!(is_accepted(&joined(&signed, &right)), "{algorithm}");
        let half = right.len() / 2;
        let order: Vec<u8> = (0..order.len())
            .step_by(2)
            .map(|place| u8::from_str_radix(&order[place..place + 2], 16).unwrap())
            .collect();
        assert_eq!(order.len(), half);
        let mut above = order.clone();
        *above.last_mut().unwrap() += 1;
        let (zero, full) = (vec![0; half], vec![0xff; half]);
        let mut one = zero.clone();
        one[half - 1] = 1;
        let (r, s) = (right[..half].to_vec(), right[half..].to_vec());
        let pair = |r: &[u8], s: &[u8]| [r, s].concat();
        let mut odd = vec![
            ("DER", by_ec(key, der, &signed)),
            ("empty", Vec::new()),
            ("r alone", r.clone()),
            ("cut", right[..right.len() - 1].to_vec()),
            ("one byte more", [&right[..], &[0]].concat()),
            ("a zero before", [&[0], &right[..]].concat()),
            (
                "halves with leading zeros",
                pair(&[&[0], &r[..]].concat(), &[&[0], &s[..]].concat()),
            ),
            ("halves changed over", pair(&s, &r)),
            ("twice", pair(&right, &right)),
            (
                "another curve's length",
                vec![1; if half == 32 { 96 } else { 64 }],
            ),
        ];
        // CVE-2022-21449: zeros satisfy the equation where nobody looks.
        for (name, number) in [
            ("zero", &zero),
            ("n", &order),
            ("n + 1", &above),
            ("all ones", &full),
            ("one", &one),
        ] {
            odd.push((name, pair(number, &s)));
            odd.push((name, pair(&r, number)));
            odd.push((name, pair(number, number)));
        }
        for (name, signature) in odd {
            refused(
                &format!("{algorithm}: {name}"),
                &joined(&signed, &signature),
            );
        }
        for (name, signed) in [
            (
                "another header",
                message(&header.replace("alg", "a\\u006cg"), &claims().to_string()),
            ),
            (
                "other claims",
                message(
                    &header,
                    &changed(&claims(), &json!({"sub": "b"})).to_string(),
                ),
            ),
        ] {
            refused(name, &joined(&signed, &right));
        }
    }
    for algorithm in ["EdDSA", "Ed25519"] {
        let header = json!({"alg": algorithm, "kid": "ed"}).to_string();
        let signed = message(&header, &claims().to_string());
        let pair = signature::Ed25519KeyPair::from_pkcs8(&ED25519.der).unwrap();
        let right = pair.sign(signed.as_bytes()).as_ref().to_vec();
        assert!(is_accepted(&joined(&signed, &right)));
        // S + L is the same number to a verifier that does not look at its range (RFC 8032 section 5.1.7).
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let mut carry = 0;
        let mut malleable = right.clone();
        for (index, place) in (0..64).step_by(2).enumerate() {
            let digit = u16::from_str_radix(&order[place..place + 2], 16).unwrap();
            let sum = u16::from(malleable[32 + index]) + digit + carry;
            malleable[32 + index] = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        for (name, signature) in [
            ("S above the order", malleable),
            ("zeros", vec![0; 64]),
            ("cut", right[..63].to_vec()),
            ("longer", [&right[..], &[0]].concat()),
            ("R of small order", [&[1][..], &[0; 63]].concat()),
        ] {
            refused(
                &format!("{algorithm}: {name}"),
                &joined(&signed, &signature),
            );
        }
    }
}
