//! The values of each page.
//!
//! Owns one struct per page; its fields are the variables of the template of the same name. Does not
//! know where a value came from: everything here is plain text and is escaped when it is rendered.

use serde::Serialize;

/// A page: the values that one template shows.
pub trait Page: Serialize {
    /// The file name of the template, as an operator's folder names it.
    const TEMPLATE: &'static str;
}

/// Lets the user choose where to sign in (`chooser.html`).
#[derive(Clone, Debug, Serialize)]
pub struct Chooser {
    /// The host the user wants to reach, or the name of the app.
    pub host: String,
    /// One button each, in this order.
    pub providers: Vec<ProviderChoice>,
    /// The e-mail field, where identity providers are found by domain.
    pub email_form: Option<EmailForm>,
    /// The id of the request that is answered.
    pub request_id: String,
}

/// One button of the chooser.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderChoice {
    /// The name of the identity provider as people know it.
    pub name: String,
    /// Where the button leads: our own start endpoint.
    pub url: String,
}

/// The e-mail step of the chooser; posts `login_hint`, `csrf` and `rd`.
#[derive(Clone, Debug, Serialize)]
pub struct EmailForm {
    /// Where the form is posted to.
    pub action_url: String,
    /// The value of the hidden field `csrf`.
    pub anti_forgery: String,
    /// The value of the hidden field `rd`: where the user goes after the login.
    pub rd: String,
    /// What was wrong with the address given before.
    pub error: Option<String>,
}

/// Tells of a failure of any kind (`error.html`).
#[derive(Clone, Debug, Serialize)]
pub struct Error {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The heading: what happened, in few words.
    pub title: String,
    /// What happened, in a sentence.
    pub message: String,
    /// What the user can do now.
    pub what_to_do: String,
    /// The error code, such as `access_denied`.
    pub code: Option<String>,
    /// The text that the identity provider sent along.
    pub idp_message: Option<String>,
    /// The id of the request that is answered.
    pub request_id: String,
    /// Links to go on with; the first stands out.
    pub actions: Vec<Action>,
}

/// A link to go on with.
#[derive(Clone, Debug, Serialize)]
pub struct Action {
    /// What the link says.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// Refuses a user who is signed in but not allowed (`forbidden.html`).
#[derive(Clone, Debug, Serialize)]
pub struct Forbidden {
    /// Who is signed in, as the user knows it: a name or an e-mail address.
    pub who: String,
    /// The name of the identity provider of the session.
    pub idp: String,
    /// Why the account is not enough, in a sentence that gives no rule away.
    pub reason: String,
    /// The id of the request that is answered.
    pub request_id: String,
    /// Signs in again and asks which account to use.
    pub other_account_url: String,
    /// Ends the session.
    pub sign_out_url: String,
}

/// Confirms that the session has ended (`signed_out.html`).
#[derive(Clone, Debug, Serialize)]
pub struct SignedOut {
    /// Where to sign in again, if there is such a place.
    pub sign_in_url: Option<String>,
    /// The id of the request that is answered.
    pub request_id: String,
}

/// Asks before a sign-out that another site began (`confirm_sign_out.html`); posts `csrf` and `rd`.
#[derive(Clone, Debug, Serialize)]
pub struct ConfirmSignOut {
    /// Where the form is posted to.
    pub action_url: String,
    /// The value of the hidden field `csrf`.
    pub anti_forgery: String,
    /// The value of the hidden field `rd`: where the user goes afterwards.
    pub rd: String,
    /// The id of the request that is answered.
    pub request_id: String,
}

/// Asks for name and password of an account here (`account_sign_in.html`); posts `username`,
/// `password`, `csrf` and `rd`, or `cancel` with the last two.
#[derive(Clone, Debug, Serialize)]
pub struct AccountSignIn {
    /// The host the user wants to reach.
    pub host: String,
    /// Where the form is posted to.
    pub action_url: String,
    /// The value of the hidden field `csrf`.
    pub anti_forgery: String,
    /// The value of the hidden field `rd`: where the user goes afterwards.
    pub rd: String,
    /// What stands in the field `username` already; may be empty.
    pub username: String,
    /// What was wrong with the try before.
    pub error: Option<String>,
    /// Whether the user can go back to the app without signing in: then a button named `cancel` is there.
    pub is_cancellable: bool,
    /// The id of the request that is answered.
    pub request_id: String,
}

/// Asks whether an app may have what it asks for (`consent.html`); posts `decision` (`allow` or `deny`),
/// `csrf` and `rd`.
#[derive(Clone, Debug, Serialize)]
pub struct Consent {
    /// The name of the app.
    pub app: String,
    /// Where the answer goes: the host of the app, or the scheme of one on the user's device.
    pub place: String,
    /// Who is signed in, as the user knows it: a name or an e-mail address.
    pub who: String,
    /// What the app may then do, in words.
    pub permissions: Vec<String>,
    /// Where the form is posted to.
    pub action_url: String,
    /// The value of the hidden field `csrf`.
    pub anti_forgery: String,
    /// The value of the hidden field `rd`: the request that is answered.
    pub rd: String,
    /// The id of the request that is answered.
    pub request_id: String,
}

impl Page for Consent {
    const TEMPLATE: &'static str = "consent.html";
}

impl Page for AccountSignIn {
    const TEMPLATE: &'static str = "account_sign_in.html";
}

impl Page for Chooser {
    const TEMPLATE: &'static str = "chooser.html";
}

impl Page for Error {
    const TEMPLATE: &'static str = "error.html";
}

impl Page for Forbidden {
    const TEMPLATE: &'static str = "forbidden.html";
}

impl Page for SignedOut {
    const TEMPLATE: &'static str = "signed_out.html";
}

impl Page for ConfirmSignOut {
    const TEMPLATE: &'static str = "confirm_sign_out.html";
}
