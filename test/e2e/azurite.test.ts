import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../src/process/clock.ts';
import { openAzure } from '../../src/registry/storage/azure/open-azure.ts';
import type { StorageDriver } from '../../src/registry/storage/driver.ts';
import { StoreClient } from '../../src/registry/storage/object-store/store-client.ts';
import { testDriver } from '../support/driver-conformance.ts';
import { logSink } from '../support/log-sink.ts';
import { standInService } from '../support/stand-in-service.ts';
import { bytesOf, readAll } from '../support/store-fixture.ts';
import { withTemporaryFolder } from '../support/temporary-folder.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { azureOptions, startAzurite } from './support/azurite.ts';

const azurite = await startAzurite();
after(() => azurite[Symbol.asyncDispose]());

const deps = { clock: systemClock, environment: {}, log: logSink().log };

async function openContainer(changes: Readonly<Record<string, string>> = {}): Promise<StorageDriver> {
  return openAzure(azureOptions({ ...(await azurite.newContainer()), ...changes }), deps);
}

testDriver('the driver of Azure Blob Storage on azurite', async (use) => use(await openContainer()));

test('a large upload goes on in another process, block by block', async () => {
  const options = azureOptions(await azurite.newContainer());
  const content = bytesOf(11 * 1024 * 1024 + 5, 'large');
  for (const [start, end] of [
    [0, 6_000_000],
    [6_000_000, content.length],
  ] as const) {
    const driver = await openAzure(options, deps);
    const writer = await driver.writer('/upload/data', { append: start > 0 });
    assert.equal(writer.size, start);
    for (let at = start; at < end; at += 70_000) {
      await writer.write(Buffer.from(content.subarray(at, Math.min(at + 70_000, end))));
    }
    await writer.close();
  }
  const driver = await openAzure(options, deps);
  await driver.publish([{ path: '/blob/data', from: '/upload/data' }]);
  assert.ok((await readAll(await driver.read('/blob/data'))).equals(content));
  const blob = await azurite.ask('HEAD', `${options.container}/blob/data`);
  assert.equal(blob.headers['x-ms-blob-type'], 'AppendBlob');
});

test('two writers of one upload do not mix their bytes: the slower one fails', async () => {
  const driver = await openContainer();
  const [one, other] = await Promise.all([
    driver.writer('/upload/data', { append: true }),
    driver.writer('/upload/data', { append: true }),
  ]);
  await one.write(Buffer.from('one'));
  await one.close();
  await other.write(Buffer.from('other'));
  await assert.rejects(other.close(), { code: 'UNAVAILABLE' });
  assert.equal(await driver.unpublishedSize('/upload/data'), 3);
});

test('the names of blobs begin with the root directory', async () => {
  const options = azureOptions({ ...(await azurite.newContainer()), rootdirectory: '/some/folder/' });
  const driver = await openAzure(options, deps);
  await driver.putContent('/docker/file', Buffer.from('x'));
  const blob = await azurite.ask('GET', `${options.container}/some/folder/docker/file`);
  assert.equal(blob.body.toString(), 'x');
});

test('a container that docker distribution 2 has filled is used on with its names', async () => {
  const options = azureOptions(await azurite.newContainer());
  const path = 'docker/registry/v2/repositories/app/_layers/link';
  const put = (name: string): Promise<unknown> =>
    azurite.ask('PUT', `${options.container}/${name}`, { 'x-ms-blob-type': 'BlockBlob' }, 'old');
  await put(`/${path}`);
  const driver = await openAzure(options, deps);
  assert.equal((await driver.getContent(`/${path}`)).toString(), 'old');
  assert.deepEqual(await driver.list('/docker/registry/v2/repositories'), ['app']);
  await driver.putContent('/docker/registry/v2/new', Buffer.from('new'));
  const blob = await azurite.ask('GET', `${options.container}//docker/registry/v2/new`);
  assert.equal(blob.body.toString(), 'new');

  const { log, records } = logSink();
  await put(path);
  const warned = await openAzure(options, { ...deps, log });
  assert.equal((await warned.getContent(`/${path}`)).toString(), 'old');
  assert.match(records[0]?.message ?? '', /distribution 2 beside that of version 3/);
});

test('a container that does not exist, or a key that is wrong, is found out at start', async () => {
  const right = await azurite.newContainer();
  for (const [changes, reason] of [
    [{ container: 'absent' }, /404 ContainerNotFound/],
    [{ accountkey: Buffer.from('wrong').toString('base64') }, /403 /],
  ] as const) {
    await assert.rejects(openAzure(azureOptions({ ...right, ...changes }), deps), { message: reason });
  }
});

test('a connection string stands for account, key and address', async () => {
  const { accountname, accountkey, container = '', serviceurl } = await azurite.newContainer();
  const connectionstring = `DefaultEndpointsProtocol=http;AccountName=${accountname};AccountKey=${accountkey};BlobEndpoint=${serviceurl};`;
  const driver = await openAzure(azureOptions({ container, connectionstring }), deps);
  await driver.putContent('/a/file', Buffer.from('x'));
  assert.deepEqual(await driver.list('/a'), ['file']);
});

test('a client can read the one blob that it is sent to, and nothing else', async () => {
  const driver = await openContainer();
  await driver.putContent('/a/data', Buffer.from('content'));
  await driver.putContent('/a/other', Buffer.from('secret'));
  const url = (await driver.redirectUrl?.('/a/data', 'GET')) ?? '';
  assert.equal(await (await fetch(url)).text(), 'content');
  assert.equal((await fetch(url, { method: 'HEAD' })).status, 200);
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 403);
  assert.equal((await fetch(url.replace('/data', '/other'))).status, 403);
});

test('Azure itself refuses a delete whose time is over', async () => {
  const driver = await openContainer();
  await driver.putContent('/a/data', Buffer.from('content'));
  await assert.rejects(driver.deleteWithin?.('/a/data', -2_000) ?? Promise.resolve(), {
    message: /403 AuthorizationFailure/,
  });
  await driver.getContent('/a/data');
  await driver.deleteWithin?.('/a/data', 10_000);
  await assert.rejects(driver.getContent('/a/data'), { name: 'PathNotFoundError' });
  await assert.rejects(driver.deleteWithin?.('/a/data', 10_000) ?? Promise.resolve(), {
    name: 'PathNotFoundError',
  });
});

test('an identity of the platform stores, sends clients on and deletes in time, without an account key', async (t) => {
  await withTemporaryFolder(async (folder) => {
    const { certificate, key } = await (await createTestAuthority()).issue();
    const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
    writeFileSync(files.certificate, certificate);
    writeFileSync(files.key, key);
    await using secure = await startAzurite(files);
    const { container = '', accountname = '' } = await secure.newContainer();
    const entra = await standInService(t, () => ({
      body: { access_token: tokenForStorage(), expires_in: 3600 },
    }));
    const driver = await openAzure(
      azureOptions({
        accountname,
        container,
        serviceurl: secure.url,
        skipverify: 'true',
        credentials: { type: 'client_secret', clientid: 'client', tenantid: 'tenant', secret: 'password' },
      }),
      { ...deps, environment: { AZURE_AUTHORITY_HOST: entra.url } },
    );
    await driver.putContent('/a/data', Buffer.from('content'));
    assert.equal((await driver.getContent('/a/data')).toString(), 'content');
    await driver.move('/a/data', '/b/data');
    const url = new URL((await driver.redirectUrl?.('/b/data', 'GET')) ?? '');
    assert.equal(url.searchParams.get('spr'), 'https');
    const anybody = new StoreClient({ ...deps, retryDelay: () => undefined, skipVerify: true });
    assert.equal((await anybody.fetch({ method: 'GET', url })).body.toString(), 'content');
    url.pathname = url.pathname.replace('/b/', '/a/');
    assert.equal((await anybody.fetch({ method: 'GET', url })).status, 403);
    await assert.rejects(driver.deleteWithin?.('/b/data', -2_000) ?? Promise.resolve(), { message: /403/ });
    await driver.deleteWithin?.('/b/data', 10_000);
    await assert.rejects(driver.stat('/b/data'), { name: 'PathNotFoundError' });
    assert.equal(entra.received.length, 1);
  });
});

/** A token as Microsoft Entra makes them; the emulator looks at what it says and not at its signature. */
function tokenForStorage(): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: 'https://storage.azure.com',
    iss: 'https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/',
    oid: '23657296-5cd5-45b0-a809-d972a7f4dfe1',
    tid: 'dd0d0df1-06c3-436c-8034-4b9a153097ce',
    nbf: now - 60,
    iat: now - 60,
    exp: now + 3600,
  };
  const parts = [{ typ: 'JWT', alg: 'RS256' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return `${parts.join('.')}.${Buffer.from('unsigned').toString('base64url')}`;
}
