// Where the app starts.
const app = document.getElementById("app");
if (app !== null) app.textContent = "Baton Driver";
