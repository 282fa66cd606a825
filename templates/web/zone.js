// Chooses the time zone that this browser is set to, where nothing is chosen yet. The form works without it.
"use strict";
for (const select of document.querySelectorAll("select[data-guess]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!select.value && Array.from(select.options).some((option) => option.value === zone)) select.value = zone;
}
