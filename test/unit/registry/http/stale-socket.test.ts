import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { removeStaleSocket } from '../../../../src/registry/http/stale-socket.ts';

/** Listens, and takes no connection until it may. */
const busyServer = `
const { workerData: { path, go }, parentPort } = require('node:worker_threads');
require('node:net').createServer().listen({ path, backlog: 1 }, () => {
  parentPort.postMessage('listening');
  Atomics.wait(go, 0, 0);
});
`;

test('a server that is too busy to take connections keeps its socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'socket-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'registry.sock');
  const go = new Int32Array(new SharedArrayBuffer(4));
  const server = new Worker(busyServer, { eval: true, workerData: { path, go } });
  const waiting: Socket[] = [];
  t.after(async () => {
    for (const socket of waiting) socket.destroy();
    Atomics.store(go, 0, 1);
    Atomics.notify(go, 0);
    await server.terminate();
  });
  await once(server, 'message');
  for (let isFull = false; !isFull;) {
    const socket = connect(path);
    waiting.push(socket);
    isFull = await once(socket, 'connect').then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'EAGAIN',
    );
  }
  await removeStaleSocket(path);
  assert.ok(existsSync(path));
});
