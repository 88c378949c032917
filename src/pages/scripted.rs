//! The pages that have a script.
//!
//! Each script is a fixed text, whose hash stands in the policy of its page: nothing else runs there. It
//! finds its values in the page, where they are escaped like all others. These pages cannot be replaced,
//! since a replaced one could change what its script meets. Invariant: all work without the script.

use serde::Serialize;

use crate::pages::style;

/// The templates, beside those that can be replaced; they extend the built-in layout.
pub(super) const TEMPLATES: [(&str, &str); 3] = [
    (
        CarryFragment::TEMPLATE,
        include_str!("templates/carry_fragment.html"),
    ),
    (Resubmit::TEMPLATE, include_str!("templates/resubmit.html")),
    (FormPost::TEMPLATE, include_str!("templates/form_post.html")),
];

/// A page with a script.
pub trait ScriptedPage: Serialize {
    /// The name of its template.
    const TEMPLATE: &'static str;
    /// Its script. It holds none of the characters that are escaped in HTML.
    const SCRIPT: &'static str;
}

/// Goes on to a login with the part of the address that browsers do not send.
#[derive(Clone, Debug, Serialize)]
pub struct CarryFragment {
    /// The host the user wants to reach.
    pub host: String,
    /// Our start endpoint. Its last parameter is the place to return to, and ends the address.
    pub start_url: String,
    /// The id of the request that is answered.
    pub request_id: String,
}

/// Sends a form again that was kept over a login.
#[derive(Clone, Debug, Serialize)]
pub struct Resubmit {
    /// The host and path it goes to, for reading.
    pub place: String,
    /// Where it goes.
    pub action_url: String,
    /// Its fields, in their order.
    pub fields: Vec<Field>,
    /// The id of the request that is answered.
    pub request_id: String,
}

/// Takes the answer to an authorization request to the client (OAuth 2.0 Form Post Response Mode).
#[derive(Clone, Debug, Serialize)]
pub struct FormPost {
    /// The origin it goes to, for reading.
    pub place: String,
    /// The redirect URI.
    pub action_url: String,
    /// The answer.
    pub fields: Vec<Field>,
    /// The id of the request that is answered.
    pub request_id: String,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl ScriptedPage for CarryFragment {
    const TEMPLATE: &'static str = "carry_fragment.html";
    const SCRIPT: &'static str =
        "location.replace(document.links[0].href+encodeURIComponent(location.hash))";
}

impl ScriptedPage for FormPost {
    const TEMPLATE: &'static str = "form_post.html";
    const SCRIPT: &'static str = Resubmit::SCRIPT;
}

impl ScriptedPage for Resubmit {
    const TEMPLATE: &'static str = "resubmit.html";
    // A field named `submit` would hide the form's own function.
    const SCRIPT: &'static str = "HTMLFormElement.prototype.submit.call(document.forms[0])";
}

/// A page with its script, as the template sees it.
#[derive(Serialize)]
pub(super) struct WithScript<'a, P> {
    #[serde(flatten)]
    page: &'a P,
    script: &'static str,
}

impl<'a, P: ScriptedPage> WithScript<'a, P> {
    pub(super) const fn new(page: &'a P) -> Self {
        Self {
            page,
            script: P::SCRIPT,
        }
    }
}

/// The directive that lets the script of `P` run, and no other.
pub(super) fn script_source<P: ScriptedPage>() -> String {
    style::source_expression(P::SCRIPT)
}
