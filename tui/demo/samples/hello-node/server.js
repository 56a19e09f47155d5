// A small web service with nothing but node's own modules; one path in twenty fails.
const http = require("http");

const port = process.env.PORT || 3000;

http
  .createServer((request, response) => {
    const started = process.hrtime.bigint();
    const wait = 5 + Math.random() * 30;
    setTimeout(() => {
      const status = request.url === "/checkout" && Math.random() < 0.4 ? 500 : 200;
      response.writeHead(status, { "Content-Type": "text/plain" });
      response.end(status === 200 ? "hello from node\n" : "the payment provider did not answer\n");
      const took = Number(process.hrtime.bigint() - started) / 1e6;
      const line = `${request.method} ${request.url} ${status} ${took.toFixed(0)} ms`;
      status === 200 ? console.log(line) : console.error(`ERROR ${line}: payment provider timed out`);
    }, wait);
  })
  .listen(port, () => console.log(`listening on port ${port}`));
