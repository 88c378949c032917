//! Sample values for every page, to try templates on before they are used.
//!
//! Owns pages with every optional part present and with none. Every text carries characters that must
//! be escaped, so that a template which writes a value raw shows itself.

use minijinja::Value;
use minijinja::value::Serde;

use crate::pages::view::AccountSignIn;
use crate::pages::view::Action;
use crate::pages::view::Chooser;
use crate::pages::view::ConfirmSignOut;
use crate::pages::view::Consent;
use crate::pages::view::EmailForm;
use crate::pages::view::Error;
use crate::pages::view::Forbidden;
use crate::pages::view::Page;
use crate::pages::view::ProviderChoice;
use crate::pages::view::SignedOut;

/// Stands in every sample text; a page that holds it was not escaped.
pub const RAW_MARKER: &str = "<sample>";

/// The anti-forgery value of the samples: a page with a form holds it exactly.
pub const ANTI_FORGERY: &str = "sample-anti-forgery-value";

/// A page filled with sample values.
pub struct Sample {
    /// The file name of its template.
    pub template: &'static str,
    /// Its values.
    pub values: Value,
    /// Whether the page has a form, which must carry the hidden field `csrf`.
    pub form: Form,
}

/// Whether a page has a form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The page posts, so it must carry the anti-forgery value.
    Guarded,
    /// The page only shows.
    None,
}

fn text(what: &str) -> String {
    format!("{what} {RAW_MARKER}&\"'")
}

fn sample<P: Page>(page: &P, form: Form) -> Sample {
    Sample {
        template: P::TEMPLATE,
        values: Value::from(Serde(page)),
        form,
    }
}

/// Lists the samples: every page at its fullest and at its barest.
pub fn samples() -> Vec<Sample> {
    let full_form = EmailForm {
        action_url: text("/sign_in"),
        anti_forgery: ANTI_FORGERY.to_owned(),
        rd: text("/"),
        error: Some(text("error")),
    };
    let bare_form = EmailForm {
        error: None,
        ..full_form.clone()
    };
    let chooser = |providers: Vec<ProviderChoice>, email_form| Chooser {
        host: text("host"),
        providers,
        email_form,
        request_id: text("id"),
    };
    let provider = || ProviderChoice {
        name: text("name"),
        url: text("/start"),
    };
    let error = Error {
        status: 502,
        title: text("title"),
        message: text("message"),
        what_to_do: text("do"),
        code: Some(text("code")),
        idp_message: Some(text("said")),
        request_id: text("id"),
        actions: vec![
            Action {
                label: text("again"),
                url: text("/again"),
            },
            Action {
                label: text("out"),
                url: text("/out"),
            },
        ],
    };
    let bare_error = Error {
        code: None,
        idp_message: None,
        actions: Vec::new(),
        ..error.clone()
    };
    let forbidden = Forbidden {
        who: text("who"),
        idp: text("idp"),
        reason: text("reason"),
        request_id: text("id"),
        other_account_url: text("/other"),
        sign_out_url: text("/out"),
    };
    let signed_out = SignedOut {
        sign_in_url: Some(text("/in")),
        request_id: text("id"),
    };
    let bare_signed_out = SignedOut {
        sign_in_url: None,
        ..signed_out.clone()
    };
    let confirm = ConfirmSignOut {
        action_url: text("/sign_out"),
        anti_forgery: ANTI_FORGERY.to_owned(),
        rd: text("/"),
        request_id: text("id"),
    };
    let account_sign_in = AccountSignIn {
        host: text("host"),
        action_url: text("/sign_in"),
        anti_forgery: ANTI_FORGERY.to_owned(),
        rd: text("/"),
        username: text("alice"),
        error: Some(text("error")),
        is_cancellable: true,
        request_id: text("id"),
    };
    let bare_account_sign_in = AccountSignIn {
        username: String::new(),
        error: None,
        is_cancellable: false,
        ..account_sign_in.clone()
    };
    let consent = Consent {
        app: text("app"),
        place: text("place"),
        who: text("who"),
        permissions: vec![text("see"), text("do")],
        action_url: text("/consent"),
        anti_forgery: ANTI_FORGERY.to_owned(),
        rd: text("/"),
        request_id: text("id"),
    };
    let bare_consent = Consent {
        permissions: Vec::new(),
        ..consent.clone()
    };
    vec![
        sample(&consent, Form::Guarded),
        sample(&bare_consent, Form::Guarded),
        sample(&account_sign_in, Form::Guarded),
        sample(&bare_account_sign_in, Form::Guarded),
        sample(
            &chooser(vec![provider(), provider()], Some(full_form)),
            Form::Guarded,
        ),
        sample(&chooser(Vec::new(), Some(bare_form)), Form::Guarded),
        sample(&chooser(vec![provider()], None), Form::None),
        sample(&error, Form::None),
        sample(&bare_error, Form::None),
        sample(&forbidden, Form::None),
        sample(&signed_out, Form::None),
        sample(&bare_signed_out, Form::None),
        sample(&confirm, Form::Guarded),
    ]
}
