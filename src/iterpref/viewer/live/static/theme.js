// Before the page is drawn: the reader's own choice of dark or light, if there is one.
try {
  const chosen = localStorage.getItem("iterpref-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // without storage the system decides
}
