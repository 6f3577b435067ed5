import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { Connection, field } from '../../../bench/connection.ts';

/** Listens on a free port, and hands each connection and what it got so far to `serve` at each arrival. */
async function stand(
  serve: (socket: Socket, received: string) => void,
): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => {
    let received = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      serve(socket, received);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

test('an answer that comes in pieces is put together', async () => {
  const pieces = ['HTTP/1.1 200 OK\r\nContent-Le', 'ngth: 6\r\nX-Kind: odd one\r\n\r', '\nabc', 'def'];
  await using server = await stand((socket) => {
    socket.setNoDelay(true);
    const send = (): void => {
      const piece = pieces.shift();
      if (piece !== undefined) socket.write(piece, () => setImmediate(send));
    };
    send();
  });
  const connection = await Connection.open(server.port);
  let body = '';
  const answer = await connection.request({
    method: 'GET',
    path: '/',
    onBody: (chunk) => {
      body += chunk.toString();
    },
  });
  connection.close();
  assert.equal(answer.status, 200);
  assert.equal(field(answer, 'x-kind'), 'odd one');
  assert.equal(field(answer, 'x-absent'), undefined);
  assert.equal(body, 'abcdef');
});

test('requests follow each other on one connection, with bodies in pieces and the length of the whole', async () => {
  let seen = '';
  await using server = await stand((socket, received) => {
    seen = received;
    if (/(helloworld|HEAD .*\r\n\r\n)$/s.test(received)) {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    }
  });
  const connection = await Connection.open(server.port);
  await connection.request({
    method: 'PATCH',
    path: '/first',
    fields: 'Content-Type: text/plain\r\n',
    body: [Buffer.from('hello'), Buffer.from('world')],
  });
  assert.match(seen, /^PATCH \/first HTTP\/1\.1\r\n/);
  assert.match(seen, /\r\nContent-Length: 10\r\nContent-Type: text\/plain\r\n\r\nhelloworld$/);
  await connection.request({ method: 'HEAD', path: '/second' });
  connection.close();
  assert.match(seen, /helloworldHEAD \/second HTTP\/1\.1\r\n/);
});

test('a HEAD answer has no body, whatever its length says', async () => {
  await using server = await stand((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
  });
  const connection = await Connection.open(server.port);
  assert.equal((await connection.request({ method: 'HEAD', path: '/' })).status, 200);
  connection.close();
});

test('a request fails when the connection ends before the answer does', async () => {
  await using server = await stand((socket) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
  });
  const connection = await Connection.open(server.port);
  await assert.rejects(connection.request({ method: 'GET', path: '/' }), /the connection was closed/);
});

test('an answer of unknown length is refused rather than measured wrongly', async () => {
  await using server = await stand((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
  });
  const connection = await Connection.open(server.port);
  await assert.rejects(connection.request({ method: 'GET', path: '/' }), /without Content-Length/);
});
