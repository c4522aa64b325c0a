// The npm package lwm2m-node-lib as a LwM2M server behind JSON lines, as tests/interop/leshan.py speaks them.
// SPDX-License-Identifier: MIT
'use strict';

const readline = require('readline');
const coap = require('coap');
const { server: lwm2m } = require('lwm2m-node-lib');

const HOST = '127.0.0.1';
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');

// The library binds every interface; this test keeps to the loopback one.
const createServer = coap.createServer;
coap.createServer = (...args) => {
  const server = createServer(...args);
  const listen = server.listen;
  server.listen = (wanted, done) => listen.call(server, wanted, HOST, done);
  return server;
};

const config = {
  port: Number(process.argv[2]),
  lifetimeCheckInterval: 1000,
  udpWindow: 100,
  defaultType: 'Device',
  logLevel: 'FATAL',
  ipProtocol: 'udp4',
  serverProtocol: 'udp4',
  formats: [],
  writeFormat: 'text/plain',
  defaultAcceptFormat: 'text/plain',
};

function handle(request, answer) {
  const ids = (request.path || '').split('/').filter(Boolean);
  lwm2m.getDevice(request.endpoint, (error, device) => {
    if (error) {
      return answer(error);
    }
    switch (request.op) {
      case 'device':
        return answer(null, device);
      case 'read':
        return lwm2m.read(device.id, ...ids, answer);
      case 'write':
        return lwm2m.write(device.id, ...ids, String(request.value), answer);
      case 'execute':
        return lwm2m.execute(device.id, ...ids, request.args || '', answer);
      case 'attributes':
        return lwm2m.writeAttributes(device.id, ...ids, request.attributes, answer);
      case 'discover':
        return lwm2m.discover(device.id, ...ids, answer);
      case 'observe':
        return lwm2m.observe(device.id, ...ids, (value) => say({
          event: 'notification', endpoint: request.endpoint, path: request.path, value,
        }), answer);
      case 'cancel':
        return lwm2m.cancelObserver(device.id, ...ids, answer);
      default:
        return answer(new Error('unknown op: ' + request.op));
    }
  });
}

lwm2m.start(config, (error, info) => {
  if (error) {
    throw error;
  }
  lwm2m.setHandler(info, 'registration', (endpoint, lifetime, version, binding, payload, done) => {
    say({ event: 'registered', endpoint, lifetime: Number(lifetime), version, binding, links: payload });
    done();
  });
  lwm2m.setHandler(info, 'updateRegistration', (device, payload, done) => {
    say({ event: 'updated', endpoint: device.name, lifetime: Number(device.lifetime), links: payload });
    done();
  });
  lwm2m.setHandler(info, 'unregistration', (device, done) => {
    say({ event: 'unregistered', endpoint: device.name });
    done();
  });
  say({ event: 'ready', coap: config.port });
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const request = JSON.parse(line);
    handle(request, (problem, result) => say(problem
      ? { id: request.id, error: `${problem.name}: ${problem.message}` }
      : { id: request.id, result }));
  });
  lines.on('close', () => process.exit(0));
});
