// Loaded by every Node.js that runs in an instance: listening on the service's port becomes listening on the
// instance's own, and a wildcard host becomes loopback. Other ports, Unix sockets and handles are left alone.
'use strict';

const service = Number(process.env.HOMERUN_SERVICE_PORT);
const own = Number(process.env.HOMERUN_PORT); // PORT can be set anew by a start script

if (service && own) {
  const net = require('net');
  const { listen } = net.Server.prototype;
  const anywhere = new Set([undefined, null, '', '0.0.0.0', '::', '[::]']);
  const ours = (port) =>
    (typeof port === 'number' || (typeof port === 'string' && port.trim() !== '')) &&
    (Number(port) === service || Number(port) === own);
  const loopback = (host) => (anywhere.has(host) ? '127.0.0.1' : host);

  net.Server.prototype.listen = function (...args) {
    const [first, second] = args;
    if (Array.isArray(first)) return listen.apply(this, args);
    if (first !== null && typeof first === 'object') {
      if (ours(first.port) && first.fd === undefined && !first.path && !first.handle && !first._handle) {
        const ipv6Only = first.ipv6Only && !anywhere.has(first.host);
        args[0] = { ...first, port: own, host: loopback(first.host), ipv6Only };
      }
    } else if (ours(first)) {
      args[0] = own;
      if (typeof second === 'string') args[1] = loopback(second);
      else if (second === undefined || second === null) args.splice(1, args.length > 1 ? 1 : 0, '127.0.0.1');
      else args.splice(1, 0, '127.0.0.1'); // a backlog or the callback comes second
    }
    return listen.apply(this, args);
  };
}
