// Runs before the npm package's own file, where that comes from the CDN: it expects the `exports` of a CommonJS module.
window.exports = {};
