import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { azureSection, type AzureOptions } from '../../../../../src/contract/config/azure-section.ts';
import { decodeObject, type Raw } from '../../../../../src/contract/config/decode.ts';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { openAzure } from '../../../../../src/registry/storage/azure/open-azure.ts';
import { logSink } from '../../../../support/log-sink.ts';
import {
  sleeplessClock,
  standInService,
  type PreparedAnswer,
  type ReceivedRequest,
  type StandInService,
} from '../../../../support/stand-in-service.ts';

interface Stage {
  readonly driver: StorageDriver;
  readonly azure: StandInService;
  /** Requests without those of the start. */
  readonly received: () => readonly ReceivedRequest[];
  readonly slept: readonly number[];
}

/** The driver on a stand-in for Azure that answers as told; lists are empty. */
async function stage(
  t: TestContext,
  answer: (request: ReceivedRequest, count: number) => PreparedAnswer | 'cut',
  changes: Readonly<Record<string, Raw>> = {},
): Promise<Stage> {
  let count = 0;
  const azure = await standInService(t, (request) =>
    request.path.includes('comp=list')
      ? { body: '<EnumerationResults><Blobs/></EnumerationResults>' }
      : answer(request, ++count),
  );
  const clock = sleeplessClock();
  const options = {
    accountname: 'me',
    accountkey: 'a2V5',
    container: 'c',
    serviceurl: azure.url,
    ...changes,
  };
  const driver = await openAzure(decode(options), { clock, log: logSink().log, environment: {} });
  return { driver, azure, received: () => azure.received.slice(1), slept: clock.slept };
}

function decode(raw: Readonly<Record<string, Raw>>): AzureOptions {
  const found = { errors: [], warnings: [], notices: [], files: [] };
  // The decoder follows the schema, which is what the type is inferred from.
  return decodeObject(azureSection, raw, 'storage.azure', found) as AzureOptions;
}

function refusal(status: number, code: string): PreparedAnswer {
  return { status, headers: { 'x-ms-error-code': code }, body: `<Error><Code>${code}</Code></Error>` };
}

const created = { status: 201 };

test('a request that fails for a while is sent again after longer and longer delays', async (t) => {
  const busy = (_: ReceivedRequest, count: number): PreparedAnswer =>
    count <= 3 ? refusal(503, 'ServerBusy') : created;
  const patient = await stage(t, busy, { retry_delay: '50ms', max_retries: '3' });
  await patient.driver.putContent('/a', Buffer.from('x'));
  assert.deepEqual(patient.slept, [50, 100, 150]);
  for (const [max_retries, requests] of [
    ['2', 3],
    ['-1', 1],
  ] as const) {
    const { driver, received } = await stage(t, busy, { max_retries });
    await assert.rejects(driver.putContent('/a', Buffer.from('x')), { message: /503 ServerBusy/ });
    assert.equal(received().length, requests);
  }
});

test('a blob of another kind is deleted before a new one takes its place', async (t) => {
  const { driver, received } = await stage(t, ({ method }, count) => {
    if (count === 1) return refusal(409, 'InvalidBlobType');
    return method === 'DELETE' ? { status: 202 } : created;
  });
  await driver.putContent('/a', Buffer.from('x'));
  assert.deepEqual(
    received().map(({ method, path, headers }) => [method, path, headers['x-ms-blob-type']]),
    [
      ['PUT', '/c/a', 'BlockBlob'],
      ['DELETE', '/c/a', undefined],
      ['PUT', '/c/a', 'BlockBlob'],
    ],
  );
});

/** Answers of an upload of one block that is `there` after all, though the answer to it was lost. */
function lostAppend(there: string) {
  return ({ method, path }: ReceivedRequest, count: number): PreparedAnswer | 'cut' => {
    if (method === 'HEAD')
      return { headers: { 'content-length': '3', 'last-modified': new Date().toUTCString() } };
    if (method === 'GET') return { status: 206, body: there };
    if (!path.includes('comp=appendblock')) return created;
    return count === 2 ? 'cut' : refusal(412, 'AppendPositionConditionNotMet');
  };
}

test('a block whose answer got lost is looked for, and taken when its bytes are there', async (t) => {
  const { driver, received } = await stage(t, lostAppend('block'));
  const writer = await driver.writer('/upload/data', { append: true });
  await writer.write(Buffer.from('block'));
  await writer.close();
  const [, append, again, look] = received();
  assert.equal(append?.headers['x-ms-blob-condition-appendpos'], '3');
  assert.deepEqual([again?.headers['x-ms-blob-condition-appendpos'], again?.body], ['3', 'block']);
  assert.equal(look?.headers['x-ms-range'], 'bytes=3-');
});

test('bytes of somebody else in the place of a block are an error', async (t) => {
  for (const [there, lost] of [
    ['other', true],
    ['block', false],
  ] as const) {
    const { driver } = await stage(t, (request, count) =>
      lost ? lostAppend(there)(request, count) : lostAppend(there)(request, count + 10),
    );
    const writer = await driver.writer('/upload/data', { append: true });
    await writer.write(Buffer.from('block'));
    await assert.rejects(writer.close(), { message: /412 AppendPositionConditionNotMet/ });
  }
});

function copying(...progress: readonly string[]) {
  return ({ method }: ReceivedRequest, count: number): PreparedAnswer => {
    if (method === 'PUT') return { status: 202, headers: { 'x-ms-copy-status': 'pending' } };
    if (method === 'DELETE') return { status: 202 };
    const [status = '', bytes = ''] = (progress[count - 2] ?? progress.at(-1) ?? '').split(' ');
    return { headers: { 'x-ms-copy-status': status, 'x-ms-copy-progress': bytes } };
  };
}

test('a copy that takes its time is waited for as long as it gets on', async (t) => {
  const steps = ['pending 0/9', 'pending 0/9', 'pending 3/9', 'pending 3/9', 'pending 6/9', 'success 9/9'];
  const { driver, received, slept } = await stage(t, copying(...steps), {
    max_retries: '2',
    retry_delay: '10ms',
  });
  await driver.move('/a', '/b');
  assert.deepEqual(slept, [10, 20, 10, 20, 10]);
  assert.equal(received()[0]?.headers['x-ms-copy-source'], `http://${received()[0]?.headers.host}/c/a`);
  assert.deepEqual([received().at(-1)?.method, received().at(-1)?.path], ['DELETE', '/c/a']);
});

test('a copy that stands still or fails is an error, and its source stays', async (t) => {
  for (const last of ['pending 3/9', 'failed 3/9', 'aborted 3/9']) {
    const { driver, received } = await stage(t, copying('pending 0/9', last), { max_retries: '2' });
    await assert.rejects(driver.move('/a', '/b'), { message: /CopyNotCompleted/ });
    assert.ok(received().every(({ method }) => method !== 'DELETE'));
  }
});

test('what is still being copied is not there yet', async (t) => {
  for (const status of ['pending', 'failed']) {
    const { driver } = await stage(t, () => ({ headers: { 'x-ms-copy-status': status }, body: 'half' }));
    await assert.rejects(driver.getContent('/a'), { name: 'PathNotFoundError' });
    await assert.rejects(driver.read('/a'), { name: 'PathNotFoundError' });
    await assert.rejects(driver.stat('/a'), { name: 'PathNotFoundError' });
  }
});

test("another process's copy to the same place is waited for before ours", async (t) => {
  const { driver, received } = await stage(t, ({ method }, count) => {
    if (count === 1) return refusal(409, 'PendingCopyOperation');
    if (method === 'HEAD') return { headers: { 'x-ms-copy-status': 'success' } };
    return { status: 202, headers: { 'x-ms-copy-status': 'success' } };
  });
  await driver.move('/a', '/b');
  assert.deepEqual(
    received().map(({ method }) => method),
    ['PUT', 'HEAD', 'PUT', 'DELETE'],
  );
});

test('a container that is gone is a failure; none of its blobs is taken for missing', async (t) => {
  const { driver } = await stage(t, () => refusal(404, 'ContainerNotFound'));
  for (const ask of [
    () => driver.getContent('/a'),
    () => driver.read('/a'),
    () => driver.stat('/a'),
    () => driver.move('/a', '/b'),
    () => driver.delete('/a'),
  ]) {
    await assert.rejects(ask(), { code: 'UNAVAILABLE', message: /404 ContainerNotFound/ });
  }
});

test("a delete ends with the time that there is, by Azure's clock, and is sent once", async (t) => {
  const { driver, received } = await stage(t, () => 'cut');
  await assert.rejects(driver.deleteWithin?.('/a', 5_000) ?? Promise.resolve(), { code: 'UNAVAILABLE' });
  assert.equal(received().length, 1);
  const url = new URL(`http://host${received()[0]?.path}`);
  const ends = Date.parse(url.searchParams.get('se') ?? '');
  assert.ok(ends - Date.now() <= 5_000 && ends - Date.now() > 1_000, url.search);
  assert.deepEqual([url.searchParams.get('sp'), url.searchParams.get('sr')], ['d', 'b']);
});

test('an identity borrows one key for all the URLs that are asked for at once', async (t) => {
  const key = { SignedOid: 'object', SignedTid: 'tenant', SignedService: 'b', Value: 'a2V5' };
  const azure = await standInService(t, ({ path }) => {
    if (path.endsWith('/token')) return { body: { access_token: 'token', expires_in: 3600 } };
    if (!path.includes('userdelegationkey'))
      return { body: '<EnumerationResults><Blobs/></EnumerationResults>' };
    return {
      body: `<Key>${Object.entries(key)
        .map(([name, value]) => `<${name}>${value}</${name}>`)
        .join('')}</Key>`,
    };
  });
  const options = decode({
    accountname: 'me',
    container: 'c',
    serviceurl: azure.url,
    credentials: { clientid: 'client', tenantid: 'tenant', secret: 'secret' },
  });
  const environment = { AZURE_AUTHORITY_HOST: azure.url };
  const driver = await openAzure(options, { clock: sleeplessClock(), log: logSink().log, environment });
  const urls = await Promise.all(['/a', '/b'].map(async (path) => driver.redirectUrl?.(path, 'GET')));
  assert.deepEqual(
    urls.map((url) => new URL(url ?? '').searchParams.get('skoid')),
    ['object', 'object'],
  );
  assert.equal(azure.received.filter(({ path }) => path.includes('userdelegationkey')).length, 1);
});
