// A form that carries a passkey: the browser makes or uses one, and the form brings the answer.
// Written out rather than with parseRequestOptionsFromJSON: browsers of 2022 are still in use.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const withBytes = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

function options(form) {
  const given = JSON.parse(form.dataset.options);
  given.challenge = bytes(given.challenge);
  if (given.user) given.user.id = bytes(given.user.id);
  if (given.excludeCredentials) given.excludeCredentials = withBytes(given.excludeCredentials);
  if (given.allowCredentials) given.allowCredentials = withBytes(given.allowCredentials);
  return { publicKey: given };
}

function answer(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  const { id, type } = credential;
  return JSON.stringify({ id, type, rawId: text(credential.rawId), response });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const credential = await navigator.credentials[form.dataset.passkey](options(form));
      form.elements.credential.value = answer(credential);
      form.submit();
    } catch {
      form.querySelector("[role=alert]").hidden = false;
    }
  });
}
