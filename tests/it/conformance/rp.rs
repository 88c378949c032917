//! A relying party that looks at every answer as the modules do.

use aws_lc_rs::digest;
use serde_json::Value;

use crate::provider;
use crate::provider::SECRET;
use crate::provider::VERIFIER;
use crate::provider::basic;
use crate::provider::challenge;
use crate::provider::header;
use crate::provider::issuer;
use crate::provider::value;
use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::World;
use crate::support::http_server::value_of;
use crate::support::idp::now;
use crate::support::keys;
use crate::support::raw::Response;

pub type Parameters = Vec<(String, String)>;

/// What an ID token may say without being asked.
const ID_TOKEN_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "sid",
    // The suite warns of this one. Roles are scopes here, and tokens say which were granted.
    "scope",
];

/// A client of the provider and the browser of a user, alice.
pub struct Rp<'a> {
    pub world: &'a World,
    pub browser: Browser,
    client: &'static str,
    /// The discovery document.
    pub metadata: Value,
}

/// An answer that came to the redirect URI.
pub struct Answer {
    /// What it answers.
    pub request: Parameters,
    pub parameters: Parameters,
}

/// An answer of the token endpoint.
pub struct Tokens {
    pub body: Value,
    /// The claims of the ID token, which is good.
    pub id_token: Value,
}

impl Tokens {
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap()
    }
}

impl<'a> Rp<'a> {
    /// The client `first` and a browser that nobody has used.
    pub fn new(world: &'a World) -> Self {
        Self::of(world, "first")
    }

    /// Another client.
    pub fn of(world: &'a World, client: &'static str) -> Self {
        let mut browser = world.browser();
        let document = format!("{}/.well-known/openid-configuration", issuer(world));
        let metadata = browser.get(&document).json();
        assert_eq!(metadata["issuer"], issuer(world));
        Self {
            world,
            browser,
            client,
            metadata,
        }
    }

    /// An address in the metadata.
    #[track_caller]
    pub fn endpoint(&self, name: &str) -> String {
        let url = self.metadata[name].as_str();
        url.unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    pub fn redirect_uri(&self) -> String {
        format!("http://{}.localhost:1/callback", self.client)
    }

    /// A usual request with `changes`: an empty value takes a parameter out.
    pub fn request(&self, changes: &[(&str, &str)]) -> Parameters {
        let (state, nonce) = (keys::unique("st&te "), keys::unique("nonce-"));
        let (redirect_uri, challenge) = (self.redirect_uri(), challenge());
        let usual = [
            ("response_type", "code"),
            ("client_id", self.client),
            ("redirect_uri", &redirect_uri),
            ("scope", "openid"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        provider::changed(&usual, changes)
    }

    /// The address of a request.
    pub fn url(&self, request: &Parameters) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(request);
        let endpoint = self.endpoint("authorization_endpoint");
        format!("{endpoint}?{}", query.finish())
    }

    /// Goes where a request leads: to a page, or to the client.
    #[track_caller]
    pub fn go(&mut self, changes: &[(&str, &str)]) -> (Parameters, Response) {
        let request = self.request(changes);
        let first = self.browser.get(&self.url(&request));
        let response = provider::to_client(&mut self.browser, first);
        (request, response)
    }

    /// Sends a request; alice logs in, and has to.
    #[track_caller]
    pub fn log_in(&mut self, changes: &[(&str, &str)]) -> Answer {
        let (request, page) = self.go(changes);
        let done = self.fill_in(&page);
        self.answer(request, &done)
    }

    /// Fills the sign-in page in.
    #[track_caller]
    pub fn fill_in(&mut self, page: &Response) -> Response {
        let is_form = page.text().contains("name=\"password\"");
        assert!(is_form, "nobody is asked to log in: {}", page.text());
        let signed_in = provider::sign_in(self.world, &mut self.browser, page, "alice");
        if !signed_in.text().contains("name=\"decision\"") {
            return signed_in;
        }
        provider::consent::decide(self.world, &mut self.browser, &signed_in, "allow")
    }

    /// Sends a request; nobody may be asked anything.
    #[track_caller]
    pub fn pass(&mut self, changes: &[(&str, &str)]) -> Answer {
        let (request, done) = self.go(changes);
        self.answer(request, &done)
    }

    /// Sends a request that is refused, and gives the error.
    #[track_caller]
    pub fn refused(&mut self, changes: &[(&str, &str)]) -> String {
        let answer = self.pass(changes);
        value(&answer.parameters, "error")
    }

    /// Reads the answer to a request: it is at the redirect URI, has the request's `state` and our issuer,
    /// and is either a code or an error whose words every client can read.
    #[track_caller]
    pub fn answer(&self, request: Parameters, response: &Response) -> Answer {
        assert_eq!(response.status, 303, "{}", response.text());
        let place = location(response);
        let redirect_uri = value(&request, "redirect_uri");
        assert!(place.starts_with(&format!("{redirect_uri}?")), "{place}");
        assert!(!place.contains('#'), "{place}");
        let parameters = query(&place);
        for (name, text) in &parameters {
            let is_fine = match name.as_str() {
                "state" => Some(text.as_str()) == value_of(&request, "state"),
                "iss" => *text == issuer(self.world),
                "error_description" => text
                    .bytes()
                    .all(|byte| matches!(byte, 0x20..=0x7e) && !b"\"\\".contains(&byte)),
                "code" | "error" => true,
                _ => false,
            };
            assert!(is_fine, "{name}={text}");
        }
        let has = |name| value_of(&parameters, name).is_some();
        assert!(has("iss") && has("code") != has("error"), "{parameters:?}");
        assert_eq!(has("state"), value_of(&request, "state").is_some());
        for (name, _) in &parameters {
            value(&parameters, name);
        }
        Answer {
            request,
            parameters,
        }
    }

    /// Sends a form to the token endpoint, with the client's proof.
    pub fn token(&self, fields: &[(&str, &str)]) -> Response {
        let call = Call::bare("POST", &self.endpoint("token_endpoint"));
        let mut fields = fields.to_vec();
        let call = if self.client == "posting" {
            fields.extend([("client_id", self.client), ("client_secret", SECRET)]);
            call
        } else {
            call.header("Authorization", &basic(self.client, SECRET))
        };
        self.browser.clone().send(&call.form(&fields))
    }

    /// The form that presents the code of an answer.
    #[track_caller]
    pub fn redemption<'b>(&self, answer: &'b Answer, verifier: &'b str) -> [(&'b str, &'b str); 4] {
        let of = |pairs: &'b Parameters, name| value_of(pairs, name).expect("a parameter");
        let code = of(&answer.parameters, "code");
        self.world.secrets.note(code);
        [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", of(&answer.request, "redirect_uri")),
            ("code_verifier", verifier),
        ]
    }

    /// Presents the code of an answer.
    #[track_caller]
    pub fn redeem(&self, answer: &Answer) -> Response {
        self.token(&self.redemption(answer, VERIFIER))
    }

    /// Redeems the code of an answer: what comes is good, and opens the userinfo endpoint.
    #[track_caller]
    pub fn tokens(&self, answer: &Answer) -> Tokens {
        let tokens = self.read(&self.redeem(answer));
        let (id_token, request) = (&tokens.id_token, &answer.request);
        assert_eq!(id_token["nonce"].as_str(), value_of(request, "nonce"));
        let algorithm = header(tokens.text("id_token"))["alg"].to_string();
        let code = value(&answer.parameters, "code");
        assert_eq!(id_token["c_hash"], half_hash(&algorithm, &code));
        let userinfo = self.userinfo(&tokens);
        assert_eq!(userinfo.status, 200, "{}", userinfo.text());
        assert_eq!(userinfo.header("content-type"), "application/json");
        assert_eq!(userinfo.json()["sub"], id_token["sub"]);
        tokens
    }

    /// Reads an answer of the token endpoint and verifies its ID token by the published keys.
    ///
    /// Implements OpenID Connect Core sections 3.1.3.3, 3.1.3.7 and 3.1.3.8.
    #[track_caller]
    pub fn read(&self, response: &Response) -> Tokens {
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("cache-control"), "no-store");
        let body = response.json();
        assert_eq!(body["token_type"], "Bearer");
        assert!(body["expires_in"].as_u64().unwrap() > 0);
        for name in ["access_token", "id_token", "refresh_token"] {
            let Some(token) = body[name].as_str() else {
                continue;
            };
            self.world.secrets.note(token);
            assert!(token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        let token = body["id_token"].as_str().expect("an ID token");
        let header = header(token);
        assert!(header["kid"].is_string(), "{header}");
        let advertised = self.metadata["id_token_signing_alg_values_supported"].as_array();
        assert!(advertised.unwrap().contains(&header["alg"]), "{header}");
        let jwks = self.browser.clone().get(&self.endpoint("jwks_uri")).json();
        let claims = keys::verified(token, &jwks, self.client);
        let claims = claims.unwrap_or_else(|| panic!("not verified: {header}"));
        assert_eq!(claims["iss"], self.metadata["issuer"]);
        assert_eq!(claims["aud"], self.client);
        assert_eq!(claims["azp"], self.client);
        assert!(matches!(claims["sub"].as_str().unwrap().len(), 1..=255));
        let time = |name: &str| claims[name].as_i64().unwrap();
        assert!((time("iat") - now()).abs() < 60 && time("exp") > time("iat"));
        assert!(time("auth_time") <= time("iat"), "{claims}");
        let access_token = body["access_token"].as_str().unwrap();
        let hash = half_hash(&header["alg"].to_string(), access_token);
        assert_eq!(claims["at_hash"], hash);
        for (name, _) in claims.as_object().unwrap() {
            assert!(ID_TOKEN_CLAIMS.contains(&name.as_str()), "{name}");
        }
        Tokens {
            body,
            id_token: claims,
        }
    }

    /// Asks the userinfo endpoint.
    pub fn userinfo(&self, tokens: &Tokens) -> Response {
        let bearer = format!("Bearer {}", tokens.text("access_token"));
        let call = Call::bare("GET", &self.endpoint("userinfo_endpoint"));
        let mut browser = self.world.browser();
        browser.send(&call.header("Authorization", &bearer))
    }

    /// The whole flow of a user who is not logged in yet.
    #[track_caller]
    pub fn flow(&mut self, changes: &[(&str, &str)]) -> Tokens {
        let answer = self.log_in(changes);
        self.tokens(&answer)
    }

    /// The whole flow of a user who is not asked anything, because there is a session, or because the
    /// identity provider needs no page.
    #[track_caller]
    pub fn silent_flow(&mut self, changes: &[(&str, &str)]) -> Tokens {
        let answer = self.pass(changes);
        self.tokens(&answer)
    }
}

/// The left half of a hash (OpenID Connect Core section 3.1.3.6), by the name of an algorithm in JSON.
fn half_hash(algorithm: &str, text: &str) -> String {
    match algorithm {
        "\"RS256\"" | "\"ES256\"" => keys::at_hash(text),
        "\"EdDSA\"" => {
            let hash = digest::digest(&digest::SHA512, text.as_bytes());
            keys::base64url(&hash.as_ref()[..32])
        }
        other => panic!("no hash goes with {other}"),
    }
}
