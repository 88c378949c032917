//! Parameters of our own endpoints.

use url::form_urlencoded;

/// A parameter of a query or form that is there exactly once and not empty. One that is there twice
/// counts as absent: which of the two the sender meant cannot be known.
pub fn parameter(text: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(text.as_bytes()).filter(|(key, _)| key == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) if !value.is_empty() => Some(value.into_owned()),
        _ => None,
    }
}

/// Writes parameters as a query; absent ones are left out.
pub fn write(parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_once_only() {
        assert_eq!(parameter("a=1&b=%2Fx%3Fy", "b").as_deref(), Some("/x?y"));
        assert_eq!(parameter("a=1&a=2", "a"), None);
        assert_eq!(parameter("a=", "a"), None);
        assert_eq!(parameter("", "a"), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        let query = write(&[("rd", Some("/a?b=%2F&c")), ("idp", None)]);
        assert_eq!(parameter(&query, "rd").as_deref(), Some("/a?b=%2F&c"));
        assert_eq!(parameter(&query, "idp"), None);
    }
}
