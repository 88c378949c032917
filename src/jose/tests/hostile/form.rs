//! The text of a token.

use super::*;

#[test]
fn every_spelling_of_a_compact_token() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let json_form = |signatures: Value| {
        let mut form = json!({"payload": claims});
        let members = form.as_object_mut().unwrap();
        members.extend(signatures.as_object().unwrap().clone());
        form.to_string()
    };
    for (name, token) in [
        ("nothing", String::new()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("no signature", format!("{header}.{claims}.")),
        ("no claims", format!("{header}..{signature}")),
        ("no header", format!(".{claims}.{signature}")),
        ("dots", String::from("..")),
        ("four parts", format!("{good}.")),
        ("four full parts", format!("{good}.{signature}")),
        (
            "five parts",
            format!("{header}.{claims}.{signature}.{claims}.{signature}"),
        ),
        ("five empty parts", String::from("....")),
        (
            "a JSON form",
            json_form(json!({"protected": header, "signature": signature})),
        ),
        (
            "a general JSON form",
            json_form(json!({"signatures": [{"protected": header, "signature": signature}]})),
        ),
        ("quoted", format!("\"{good}\"")),
        ("with a scheme", format!("Bearer {good}")),
        ("twice", format!("{good},{good}")),
        (
            "the parts in another order",
            format!("{claims}.{header}.{signature}"),
        ),
        (
            "too long",
            format!(
                "{header}.{claims}{}.{signature}",
                "A".repeat(TOKEN_SIZE_MAX)
            ),
        ),
    ] {
        refused(name, &token);
    }
    // Each part in turn: padding, blanks, the other alphabet, an odd length, bits that stand for nothing.
    for index in 0..3 {
        let mut spellings: Vec<(String, String)> =
            ["=", "==", " ", "\n", "\r\n", "\t", "\u{0}", "A", "%3D", "*"]
                .iter()
                .flat_map(|odd| {
                    let part = parts[index];
                    [
                        (format!("part {index} and {odd:?}"), format!("{part}{odd}")),
                        (format!("{odd:?} and part {index}"), format!("{odd}{part}")),
                    ]
                })
                .collect();
        spellings.push((format!("part {index} cut"), parts[index][1..].to_owned()));
        if let Some(other) = with_stray_bits(parts[index]) {
            spellings.push((format!("part {index} with stray bits"), other));
        }
        let other_alphabet = parts[index].replace('-', "+").replace('_', "/");
        if other_alphabet != parts[index] {
            spellings.push((
                format!("part {index} in the other alphabet"),
                other_alphabet,
            ));
        }
        for (name, part) in spellings {
            let mut own = parts.clone();
            own[index] = &part;
            refused(&name, &own.join("."));
        }
    }
    // The same with the signature made over the odd spelling: it is right, and the spelling is not.
    for (name, header, claims) in [
        ("a padded header", format!("{header}="), claims.to_owned()),
        ("padded claims", header.to_owned(), format!("{claims}==")),
        (
            "a blank in the claims",
            header.to_owned(),
            format!("{claims} "),
        ),
        (
            "a line break in the header",
            format!("{header}\n"),
            claims.to_owned(),
        ),
        ("an odd length", header.to_owned(), format!("{claims}AAAAA")),
        (
            "unencoded claims",
            header.to_owned(),
            self::claims().to_string().replace('.', "\\u002e"),
        ),
    ] {
        let signed = format!("{header}.{claims}");
        let signature = by_rsa(&RSA, &signature::RSA_PKCS1_SHA256, &signed);
        refused(name, &joined(&signed, &signature));
    }
    for length in 1..=2 {
        // A part whose last character has bits to spare.
        let padded = changed(&self::claims(), &json!({"pad": "x".repeat(length)}));
        let claims = base64url::encode(padded.to_string());
        if let Some(claims) = with_stray_bits(&claims) {
            let signed = format!("{header}.{claims}");
            let signature = by_rsa(&RSA, &signature::RSA_PKCS1_SHA256, &signed);
            refused("stray bits under a signature", &joined(&signed, &signature));
        }
    }
}
