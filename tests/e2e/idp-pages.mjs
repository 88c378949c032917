// The pages of the identity provider: plain HTML that works without a script, for browsers and for tests that post forms.

const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0 }
main { width: min(22rem, 90vw) }
label { display: block; margin: .8rem 0 }
input { display: block; box-sizing: border-box; width: 100%; font: inherit; padding: .4rem }
button { font: inherit; padding: .4rem 1rem }
p.problem { color: #c0392b }`

export const escaped = (text) =>
  String(text).replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)

/** Wraps `body`, which is HTML. */
export function page(name, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(name)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style>
<main><p>${escaped(name)}</p>${body}</main></html>`
}

export function loginPage(name, uid, username = '', problem = '') {
  return page(name, `<h1>Log in</h1>${problem && `<p class="problem">${escaped(problem)}</p>`}
<form method="post" action="/interaction/${escaped(uid)}">
<label>User name <input name="username" autocomplete="username" value="${escaped(username)}" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button> <button name="cancel" value="1" formnovalidate>Cancel</button>
</form>`)
}

/** `form` is oidc-provider's own; the caller has proved with an id_token_hint which session it means, so no question is asked. */
export function logoutPage(name, form) {
  return page(name, `<h1>Signing out</h1>${form}
<input type="hidden" form="op.logoutForm" name="logout" value="yes">
<button form="op.logoutForm">Continue</button>
<script>document.getElementById('op.logoutForm').submit()</script>`)
}
