import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import type { CertificatePair } from '../../../src/pki/key-pair.ts';
import { systemClock, type Clock } from '../../../src/process/clock.ts';
import { readCertificatePair } from '../../../src/registry/http/certificate-pair.ts';
import { reloadCertificate, type CertificateReload } from '../../../src/registry/http/certificate-reload.ts';
import { createListener } from '../../../src/registry/http/listener.ts';
import { logSink, type LogRecord } from '../../support/log-sink.ts';
import { createTestAuthority, type TestAuthority } from '../../support/test-authority.ts';
import { TestClock } from '../../support/test-clock.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Fixture {
  readonly authority: TestAuthority;
  readonly folder: string;
  readonly server: Server;
  readonly reload: CertificateReload;
  readonly records: LogRecord[];
  /** Replaces both files at once, as the kubelet does in a Secret volume. */
  readonly swap: (pair: CertificatePair) => void;
  /** The serial that a new connection is shown. */
  readonly servedSerial: () => Promise<string>;
}

async function start(
  t: TestContext,
  clock: Clock,
  minVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.2',
): Promise<Fixture> {
  const authority = await createTestAuthority();
  const folder = mkdtempSync(join(tmpdir(), 'tls-'));
  let version = 0;
  const swap = ({ certificate, key }: CertificatePair): void => {
    const name = `..${(version += 1)}`;
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'tls.crt'), certificate);
    writeFileSync(join(folder, name, 'tls.key'), key);
    symlinkSync(name, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  swap(await authority.issue());
  const [certificateFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  symlinkSync('..data/tls.crt', certificateFile);
  symlinkSync('..data/tls.key', keyFile);
  const files = { certificate: certificateFile, key: keyFile, clientCas: [] };
  const first = await readCertificatePair(files);
  const listener = createListener({
    tls: { pair: first, minVersion, clientAuth: 'require-and-verify-client-cert' },
    http2: true,
  });
  const server = listener.create((_request, response) => response.end('ok'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { log, records } = logSink();
  const serve = listener.serve.bind(listener);
  const reload = reloadCertificate({ files, first, serve, clock, log });
  const port = (server.address() as AddressInfo).port; // a TCP server has one
  t.after(() => {
    reload.stop();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const servedSerial = async (): Promise<string> => {
    const socket = await handshake(port, authority);
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber.toLowerCase();
  };
  return { authority, folder, server, reload, records, swap, servedSerial };
}

async function handshake(port: number, authority: TestAuthority): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca: authority.certificate });
  await once(socket, 'secureConnect');
  return socket;
}

test('200 handshakes during 20 swaps all succeed, and a connection that was open goes on', async (t) => {
  const { authority, server, reload, swap, servedSerial } = await start(t, systemClock);
  const port = (server.address() as AddressInfo).port; // a TCP server has one
  const pairs = await Promise.all(Array.from({ length: 20 }, () => authority.issue()));
  const old = await handshake(port, authority);
  const before: DetailedPeerCertificate = old.getPeerCertificate(true);
  const seen = new Set<string>();
  let swaps = 0;
  const swapping = (async () => {
    for (const pair of pairs) {
      swap(pair);
      await reload.refresh();
      swaps += 1;
      assert.equal(await servedSerial(), reload.current().serial);
    }
  })();
  const shaking = Array.from({ length: 4 }, async () => {
    for (let n = 0; n < 50; n++) seen.add(await servedSerial());
  });
  await Promise.all([swapping, ...shaking]);
  assert.equal(swaps, 20);
  assert.ok(seen.size > 1, 'handshakes met several certificates');
  old.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const [answer] = (await once(old, 'data')) as [Buffer]; // what a socket without encoding emits
  assert.match(answer.toString(), /^HTTP\/1.1 200/);
  assert.equal(old.getPeerCertificate(true).serialNumber, before.serialNumber);
  old.destroy();
});

test('a swap is noticed by itself', async (t) => {
  const { authority, reload, swap, servedSerial } = await start(t, systemClock);
  const before = reload.current().serial;
  swap(await authority.issue());
  await waitFor(() => reload.current().serial !== before);
  assert.equal(await servedSerial(), reload.current().serial);
});

test('a swap that no watch told of is found by looking', async (t) => {
  const clock = new TestClock(Date.now());
  const { authority, reload, swap } = await start(t, clock);
  const before = reload.current().serial;
  swap(await authority.issue());
  await clock.advance(5000);
  await waitFor(() => reload.current().serial !== before);
});

test('a pair that does not fit leaves the old one, is told once, and heals', async (t) => {
  const { authority, reload, records, swap, servedSerial } = await start(t, new TestClock(Date.now()));
  const before = reload.current().serial;
  const [one, other] = [await authority.issue(), await authority.issue()];
  swap({ certificate: one.certificate, key: other.key });
  await reload.refresh();
  await reload.refresh();
  assert.equal(await servedSerial(), before);
  swap({ certificate: 'no PEM', key: other.key });
  await reload.refresh();
  assert.equal(await servedSerial(), before);
  const warnings = records.filter((record) => record.level === 'warn');
  assert.equal(warnings.length, 2);
  assert.match(JSON.stringify(warnings[0]), /is not the one of/);
  assert.match(JSON.stringify(warnings[1]), /holds no certificate/);
  swap(one);
  await reload.refresh();
  assert.equal(await servedSerial(), reload.current().serial);
  assert.notEqual(reload.current().serial, before);
});

test('the oldest TLS version that is spoken stays the same after a swap', async (t) => {
  const { authority, server, reload, swap, servedSerial } = await start(t, systemClock, 'TLSv1.3');
  const port = (server.address() as AddressInfo).port; // a TCP server has one
  for (let round = 0; round < 2; round++) {
    const old = connect({ port, host: '127.0.0.1', ca: authority.certificate, maxVersion: 'TLSv1.2' });
    await assert.rejects(once(old, 'secureConnect'), /protocol version/);
    assert.equal(await servedSerial(), reload.current().serial);
    swap(await authority.issue());
    await reload.refresh();
  }
});
