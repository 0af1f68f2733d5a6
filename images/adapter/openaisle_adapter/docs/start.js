// Starts Swagger UI on this installation's own document. Nothing is asked of another host, and a
// key that is entered is forgotten when the page is left.
window.ui = SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
});
