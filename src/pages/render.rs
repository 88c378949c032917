//! Templates to HTML, and the policy the HTML is sent under.
//!
//! Owns the template engine, the operator's replacements and the content security policy. Does not
//! read files. Invariant: a template that does not parse, does not render, writes a value raw or
//! drops the anti-forgery field is refused when it is loaded, not when a user meets it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write;

use minijinja::AutoEscape;
use minijinja::Environment;
use minijinja::Output;
use minijinja::State;
use minijinja::UndefinedBehavior;
use minijinja::Value;
use minijinja::value::Serde;

use crate::pages::sample;
use crate::pages::sample::Form;
use crate::pages::sample::Sample;
use crate::pages::scripted;
use crate::pages::scripted::ScriptedPage;
use crate::pages::scripted::WithScript;
use crate::pages::style;
use crate::pages::view::Page;

const LAYOUT: &str = "layout.html";

/// The built-in templates by file name; an operator can replace exactly these.
pub const TEMPLATES: [(&str, &str); 8] = [
    (LAYOUT, include_str!("templates/layout.html")),
    ("chooser.html", include_str!("templates/chooser.html")),
    ("error.html", include_str!("templates/error.html")),
    ("forbidden.html", include_str!("templates/forbidden.html")),
    ("signed_out.html", include_str!("templates/signed_out.html")),
    (
        "confirm_sign_out.html",
        include_str!("templates/confirm_sign_out.html"),
    ),
    (
        "account_sign_in.html",
        include_str!("templates/account_sign_in.html"),
    ),
    ("consent.html", include_str!("templates/consent.html")),
];

/// How large one replaced template may be: a page of text and style, far below what would slow an
/// answer down.
pub const TEMPLATE_BYTES_MAX: usize = 256 * 1024;

/// What is wrong with a replaced template, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The file name inside the operator's folder.
    pub file: String,
    /// The line, from 1; 1 as well when the problem is with the file as a whole.
    pub line: usize,
    /// What was found.
    pub message: String,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl std::error::Error for TemplateProblem {}

/// The pages, ready to be rendered.
#[derive(Debug)]
pub struct Pages {
    current: Environment<'static>,
    built_in: Environment<'static>,
    style_sources: String,
    content_security_policy: String,
}

impl Pages {
    /// Takes the built-in templates, with `overrides` (file name to text) in place of those they name.
    ///
    /// Checks, in order: the names are known and the sizes bounded; every template parses; every page
    /// renders with sample values, escaped, without a script and with the field `csrf` in its form.
    ///
    /// # Errors
    ///
    /// The first problem found, with its file and line.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, TemplateProblem> {
        for (file, text) in overrides {
            check_override(file, text)?;
        }
        let mut built_in = environment(&BTreeMap::new())?;
        let current = environment(overrides)?;
        let samples = sample::samples();
        let mut sources = BTreeSet::new();
        // Both sets are tried: the built-in one is what a page falls back to.
        for environment in [&current, &built_in] {
            for sample in &samples {
                let html = try_out(environment, sample)?;
                sources.extend(
                    style::style_texts(&html)
                        .into_iter()
                        .map(style::source_expression),
                );
            }
        }
        for (file, text) in scripted::TEMPLATES {
            built_in
                .add_template(file, text)
                .map_err(|error| template_problem(&error, file))?;
        }
        let style_sources = Vec::from_iter(sources).join(" ");
        let content_security_policy = policy(&style_sources, "");
        Ok(Self {
            current,
            built_in,
            style_sources,
            content_security_policy,
        })
    }

    /// Renders `page`.
    ///
    /// A replaced template that fails on values the samples did not show gives way to the built-in
    /// one: the user still reads what happened.
    pub fn render<P: Page>(&self, page: &P) -> String {
        let values = Value::from(Serde(page));
        render(&self.current, P::TEMPLATE, &values)
            .or_else(|_| render(&self.built_in, P::TEMPLATE, &values))
            .unwrap_or_else(|_| LAST_RESORT.to_owned())
    }

    /// Renders a page that has a script, and its `Content-Security-Policy`, under which only that script
    /// runs.
    pub fn render_scripted<P: ScriptedPage>(&self, page: &P) -> (String, String) {
        let values = Value::from(Serde(WithScript::new(page)));
        let html =
            render(&self.built_in, P::TEMPLATE, &values).unwrap_or_else(|_| LAST_RESORT.to_owned());
        let script = scripted::script_source::<P>();
        let policy = &self.content_security_policy;
        (html, format!("{policy}; script-src {script}"))
    }

    /// As [`Self::render_scripted`], for a page whose form goes to one of `origins`, see
    /// [`Self::content_security_policy_with_form_targets`].
    pub fn render_scripted_with_form<P: ScriptedPage>(
        &self,
        page: &P,
        origins: &[String],
    ) -> (String, String) {
        let (html, _) = self.render_scripted(page);
        let script = scripted::script_source::<P>();
        let policy = self.content_security_policy_with_form_targets(origins);
        (html, format!("{policy}; script-src {script}"))
    }

    /// The `Content-Security-Policy` of every page without a form that leads to another origin.
    pub fn content_security_policy(&self) -> &str {
        &self.content_security_policy
    }

    /// The `Content-Security-Policy` of a page whose form is answered with a redirect to one of
    /// `origins` (`scheme://host[:port]`): the chooser's e-mail form and the sign-out confirmation.
    ///
    /// Chromium applies `form-action` to all redirects that follow a form post, those within the
    /// identity provider too, so `https:` can stand for any of them, `http:` for a host that no policy can
    /// name (`[::1]`), and a private-use scheme such as `com.example.app:` for a native app (RFC 8252
    /// section 7.1). An entry that is none of these nor a plain origin is left out: a `;` in it would begin
    /// a directive of its own.
    pub fn content_security_policy_with_form_targets(&self, origins: &[String]) -> String {
        let targets = origins.iter().filter(|origin| is_origin(origin)).fold(
            String::new(),
            |mut targets, origin| {
                targets.push(' ');
                targets.push_str(origin);
                targets
            },
        );
        policy(&self.style_sources, &targets)
    }
}

/// Shown when even the built-in template fails; the `X-Request-Id` header still names the request.
const LAST_RESORT: &str = "<!doctype html><html lang=\"en\"><title>Error</title>\
     <h1>This page cannot be shown</h1><p>Try again later.</p></html>\n";

fn policy(style_sources: &str, form_targets: &str) -> String {
    // An empty list of sources would be a directive without a value.
    let style = if style_sources.is_empty() {
        "'none'"
    } else {
        style_sources
    };
    format!(
        "default-src 'none'; style-src {style}; img-src 'self' data:; \
         form-action 'self'{form_targets}; base-uri 'none'; frame-ancestors 'none'"
    )
}

fn is_origin(origin: &str) -> bool {
    if matches!(origin, "https:" | "http:") || is_private_use_scheme(origin) {
        return true;
    }
    let Some(host) = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"))
    else {
        return false;
    };
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
}

/// A scheme that holds a dot, as a domain name in reverse order does: none that browsers act on has one.
fn is_private_use_scheme(text: &str) -> bool {
    let Some(scheme) = text.strip_suffix(':') else {
        return false;
    };
    scheme.contains('.')
        && scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')
        })
}

fn check_override(file: &str, text: &str) -> Result<(), TemplateProblem> {
    let problem = |message| {
        Err(TemplateProblem {
            file: file.to_owned(),
            line: 1,
            message,
        })
    };
    if !TEMPLATES.iter().any(|(name, _)| *name == file) {
        let names: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
        return problem(format!(
            "no page has this name; expected one of `{}`",
            names.join("`, `")
        ));
    }
    if text.len() > TEMPLATE_BYTES_MAX {
        return problem(format!(
            "the template has {} bytes; expected at most {TEMPLATE_BYTES_MAX}",
            text.len()
        ));
    }
    Ok(())
}

fn environment(
    overrides: &BTreeMap<String, String>,
) -> Result<Environment<'static>, TemplateProblem> {
    let mut environment = Environment::new();
    // A misspelt variable is a problem at load time, not an empty place on the page.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(write_escaped);
    // Without `safe` a template has no short way to write what an identity provider sent as HTML.
    environment.remove_filter("safe");
    for (file, built_in) in TEMPLATES {
        let text = overrides.get(file).map_or(built_in, String::as_str);
        // A browser reads CR LF as LF before it hashes a style, so the hash must be made of LF too.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        environment
            .add_template_owned(file, text)
            .map_err(|error| template_problem(&error, file))?;
    }
    Ok(environment)
}

/// Writes a value with the five characters of HTML escaped, and CR, which browsers would read as LF. The
/// engine's own writer escapes `/` too, which makes every address in the page unreadable for no gain
/// inside quoted attributes.
fn write_escaped(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() && matches!(state.auto_escape(), AutoEscape::Html) => {
            for part in text.split_inclusive(['&', '<', '>', '"', '\'', '\r']) {
                write_part(out, part).map_err(|_| write_failed())?;
            }
            Ok(())
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

fn write_part(out: &mut Output<'_>, part: &str) -> fmt::Result {
    let (plain, escaped) = match part.char_indices().next_back() {
        Some((at, '&')) => (part.get(..at), "&amp;"),
        Some((at, '<')) => (part.get(..at), "&lt;"),
        Some((at, '>')) => (part.get(..at), "&gt;"),
        Some((at, '"')) => (part.get(..at), "&quot;"),
        Some((at, '\'')) => (part.get(..at), "&#39;"),
        Some((at, '\r')) => (part.get(..at), "&#13;"),
        _ => (Some(part), ""),
    };
    out.write_str(plain.unwrap_or_default())?;
    out.write_str(escaped)
}

fn write_failed() -> minijinja::Error {
    minijinja::Error::new(
        minijinja::ErrorKind::WriteFailure,
        "the page could not be written",
    )
}

fn render(
    environment: &Environment<'static>,
    template: &str,
    values: &Value,
) -> Result<String, minijinja::Error> {
    environment.get_template(template)?.render(values)
}

fn try_out(environment: &Environment<'static>, sample: &Sample) -> Result<String, TemplateProblem> {
    let html = render(environment, sample.template, &sample.values)
        .map_err(|error| template_problem(&error, sample.template))?;
    let problem = |message: &str| {
        Err(TemplateProblem {
            file: sample.template.to_owned(),
            line: 1,
            message: message.to_owned(),
        })
    };
    if html.contains(sample::RAW_MARKER) {
        return problem("a value is written without escaping; remove `autoescape false`");
    }
    if html.to_ascii_lowercase().contains("<script") {
        return problem("a page cannot have scripts: the content security policy stops them");
    }
    if sample.form == Form::Guarded && !has_anti_forgery_field(&html) {
        return problem(
            "the form lacks its hidden field `csrf`, without which every post is refused",
        );
    }
    Ok(html)
}

fn has_anti_forgery_field(html: &str) -> bool {
    html.contains("name=\"csrf\"") && html.contains(sample::ANTI_FORGERY)
}

fn template_problem(error: &minijinja::Error, file: &str) -> TemplateProblem {
    let mut message = error.kind().to_string();
    if let Some(detail) = error.detail() {
        // Writing to a String cannot fail.
        let _ = write!(message, ": {detail}");
    }
    TemplateProblem {
        file: error.name().unwrap_or(file).to_owned(),
        line: error.line().unwrap_or(1),
        message,
    }
}
