import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeObject, type Raw } from '../../../../../src/contract/config/decode.ts';
import { gcsSection, type GcsOptions } from '../../../../../src/contract/config/gcs-section.ts';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { openGcs } from '../../../../../src/registry/storage/gcs/open-gcs.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { sleeplessClock, standInService } from '../../../../support/stand-in-service.ts';
import { settle } from '../../../../support/test-clock.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

/** The driver as a configuration has it, on an emulator. */
function open(emulator: string, raw: Readonly<Record<string, Raw>> = {}): Promise<StorageDriver> {
  const found = { errors: [], warnings: [], notices: [], files: [] };
  // The decoder follows the schema, which is what the type is inferred from.
  const options = decodeObject(gcsSection, { bucket: 'b', ...raw }, 'storage.gcs', found) as GcsOptions;
  const environment = { STORAGE_EMULATOR_HOST: emulator };
  return openGcs(options, { clock: sleeplessClock(), log: logSink().log, environment });
}

test('an emulator is found by host and port or by its URL, and gets no token', async (t) => {
  const emulator = await standInService(t, () => ({ body: {} }));
  for (const place of [emulator.url, new URL(emulator.url).host]) await open(place);
  assert.deepEqual(
    emulator.received.map(({ path, headers }) => [path.split('?')[0], headers.authorization]),
    Array.from({ length: 2 }, () => ['/storage/v1/b/b/o', undefined]),
  );
});

test('useragent is who each request says to be from', async (t) => {
  const emulator = await standInService(t, () => ({ body: {} }));
  const driver = await open(emulator.url, { useragent: 'mine/1.0' });
  await driver.putContent('/a', Buffer.from('x'));
  assert.deepEqual(
    emulator.received.map(({ headers }) => headers['user-agent']),
    ['mine/1.0', 'mine/1.0'],
  );
});

test('an upload is sent in pieces of chunksize', async (t) => {
  const emulator = await standInService(t, ({ method, path, headers }) => {
    if (path.includes('uploadType=resumable') && method === 'POST') {
      return { headers: { location: `${emulator.url}/session` } };
    }
    const last = /-(\d+)\//.exec(headers['content-range'] ?? '')?.[1];
    return path === '/session' ? { status: 308, headers: { range: `bytes=0-${last}` } } : { body: {} };
  });
  const driver = await open(emulator.url, { chunksize: String(512 * 1024) });
  const writer = await driver.writer('/data', { append: false });
  await writer.write(Buffer.alloc(1024 * 1024));
  await writer.close();
  const sizes = emulator.received.filter(({ path }) => path === '/session').map(({ body }) => body.length);
  assert.deepEqual(sizes, [512 * 1024, 512 * 1024]);
});

test('no more than maxconcurrency requests are on their way, and no fewer than 25 may be', async (t) => {
  for (const [maxconcurrency, limit] of [
    ['30', 30],
    ['1', 25],
  ] as const) {
    let now = 0;
    let most = 0;
    let release: (() => void) | undefined;
    const full = new Promise<void>((resolve) => {
      release = resolve;
    });
    const emulator = await standInService(t, async (_, count) => {
      if (count === 1) return { body: {} };
      most = Math.max(most, ++now);
      if (now === limit) void settle().then(release);
      await full;
      now--;
      return { body: { size: '1', updated: '2026-01-01T00:00:00Z' } };
    });
    const driver = await open(emulator.url, { maxconcurrency });
    await Promise.all(Array.from({ length: 60 }, (_, index) => driver.stat(`/${index}`)));
    assert.equal(most, limit);
  }
});

test('a key file signs what clients are sent to, and one that cannot be read is told', async (t) => {
  const emulator = await standInService(t, () => ({ body: {} }));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await withTemporaryFolder(async (folder) => {
    const keyfile = join(folder, 'key.json');
    const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(keyfile, JSON.stringify({ type: 'service_account', client_email: 'a@b', private_key }));
    const driver = await open(emulator.url, { keyfile });
    const url = new URL((await driver.redirectUrl?.('/x', 'GET')) ?? '');
    assert.match(url.searchParams.get('X-Goog-Credential') ?? '', /^a@b\//);
    await assert.rejects(
      open(emulator.url, { keyfile: join(folder, 'gone.json') }),
      /gone\.json cannot be read/,
    );
  });
});

test('credentials in the configuration sign as a key file does', async (t) => {
  const emulator = await standInService(t, () => ({ body: {} }));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const driver = await open(emulator.url, { credentials: { client_email: 'c@d', private_key } });
  const url = new URL((await driver.redirectUrl?.('/x', 'GET')) ?? '');
  assert.match(url.searchParams.get('X-Goog-Credential') ?? '', /^c@d\//);
});

test('the names of all objects begin with the root directory', async (t) => {
  const emulator = await standInService(t, () => ({ status: 404 }));
  const driver = await open(emulator.url, { rootdirectory: '/images/' }).catch(() => undefined);
  assert.equal(driver, undefined, 'a bucket that is not there is told at the start');
  const full = await standInService(t, () => ({ body: { size: '1', updated: '2026-01-01T00:00:00Z' } }));
  await (await open(full.url, { rootdirectory: '/images/' })).stat('/a');
  assert.match(full.received.at(-1)?.path ?? '', /\/o\/images%2Fa/);
});

test('a token is asked for where the credentials say, with the name of their key', async (t) => {
  const tokens = await standInService(t, () => ({ status: 400, body: { error: 'invalid_grant' } }));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const credentials = {
    client_email: 'c@d',
    private_key,
    private_key_id: 'k1',
    token_uri: `${tokens.url}/t`,
  };
  await assert.rejects(open('', { credentials }));
  assert.equal(tokens.received[0]?.path, '/t');
  const [header = ''] = (new URLSearchParams(tokens.received[0].body).get('assertion') ?? '').split('.');
  assert.partialDeepStrictEqual(JSON.parse(Buffer.from(header, 'base64url').toString()), { kid: 'k1' });
});

test('credentials of another kind than a service account are an error of the configuration', () => {
  const found = { errors: [], warnings: [], notices: [], files: [] };
  decodeObject(gcsSection, { bucket: 'b', credentials: { type: 'authorized_user' } }, 'storage.gcs', found);
  assert.match(JSON.stringify(found.errors), /credentials\.type.*must be service_account/);
});
