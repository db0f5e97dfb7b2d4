"use strict";
// The answer to an application, in a form (OAuth 2.0 Form Post Response Mode).
document.forms[0].submit();
