"use strict";
// On to the application, as the page says by itself once it has loaded: which it never has
// while one of the frames gets no answer.
setTimeout(() => location.replace(document.querySelector("a.go-on").href), 3000);
