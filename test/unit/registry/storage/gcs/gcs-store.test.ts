import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { GcsClient, type GcsClientOptions } from '../../../../../src/registry/storage/gcs/gcs-client.ts';
import { GcsStore } from '../../../../../src/registry/storage/gcs/gcs-store.ts';
import { TokenKeeper } from '../../../../../src/registry/storage/object-store/access-token.ts';
import { jitteredDelay } from '../../../../../src/registry/storage/object-store/store-client.ts';
import { logSink, type LogRecord } from '../../../../support/log-sink.ts';
import {
  sleeplessClock,
  standInService,
  type PreparedAnswer,
  type ReceivedRequest,
  type StandInService,
} from '../../../../support/stand-in-service.ts';

interface Stage {
  readonly store: GcsStore;
  readonly google: StandInService;
  readonly records: readonly LogRecord[];
}

/** The store on a stand-in for Google that answers as told. */
async function stage(
  t: TestContext,
  answer: (request: ReceivedRequest, count: number, url: string) => PreparedAnswer | 'cut',
  options: Partial<GcsClientOptions> = {},
): Promise<Stage> {
  const google = await standInService(t, (request, count) => answer(request, count, google.url));
  const clock = sleeplessClock();
  const client = new GcsClient({
    bucket: 'bucket',
    endpoint: new URL(google.url),
    token: new TokenKeeper(async () => ({ value: 'token', lifetime: 3600 }), clock),
    signer: undefined,
    concurrency: 50,
    userAgent: undefined,
    clock,
    environment: {},
    retryDelay: jitteredDelay(() => 1),
    ...options,
  });
  const { log, records } = logSink();
  return { store: new GcsStore({ client, log, chunkSize: UNIT }), google, records };
}

const UNIT = 256 * 1024;
const SESSION = '/upload/storage/v1/b/bucket/o?uploadType=resumable&upload_id=1';

/** Answers as Google does while an upload goes on; `kept` tells how many bytes there are after a PUT. */
function uploading(kept: (range: string, put: number) => number | 'cut') {
  let puts = 0;
  return ({ method, path, headers }: ReceivedRequest, _: number, url: string): PreparedAnswer | 'cut' => {
    if (path.includes('uploadType=resumable') && method === 'POST') {
      return { headers: { location: url + SESSION } };
    }
    if (path !== SESSION) return method === 'GET' ? { status: 404 } : { body: {} };
    const bytes = kept(headers['content-range'] ?? '', ++puts);
    if (bytes === 'cut') return 'cut';
    return { status: 308, headers: bytes > 0 ? { range: `bytes=0-${bytes - 1}` } : {} };
  };
}

function ranges({ received }: StandInService): unknown[] {
  return received
    .filter(({ method, path }) => method === 'PUT' && path === SESSION)
    .map(({ headers }) => headers['content-range']);
}

test('what Google did not keep of a piece is sent again, from where it is', async (t) => {
  const { store, google } = await stage(
    t,
    uploading((_, put) => (put === 1 ? 100_000 : UNIT)),
  );
  const writer = await store.writer('upload/data', { append: false });
  await writer.write(Buffer.alloc(UNIT));
  await writer.close();
  assert.deepEqual(ranges(google), [`bytes 0-${UNIT - 1}/*`, `bytes 100000-${UNIT - 1}/*`]);
});

test('a piece whose answer got lost is sent again as it was', async (t) => {
  const { store, google } = await stage(
    t,
    uploading((_, put) => (put === 1 ? 'cut' : UNIT)),
  );
  const writer = await store.writer('upload/data', { append: false });
  await writer.write(Buffer.alloc(UNIT));
  await writer.close();
  assert.deepEqual(ranges(google), Array(2).fill(`bytes 0-${UNIT - 1}/*`));
});

test('a session that lost bytes, or that keeps none, ends the upload', async (t) => {
  for (const kept of [() => 0, (_: string, put: number) => (put === 1 ? UNIT : 5)]) {
    const { store } = await stage(t, uploading(kept));
    const writer = await store.writer('upload/data', { append: false });
    const write = async (): Promise<void> => {
      for (let piece = 0; piece < 3; piece++) await writer.write(Buffer.alloc(UNIT));
      await writer.close();
    };
    await assert.rejects(write(), { code: 'UNAVAILABLE', message: /410 uploadLost/ });
  }
});

test('an upload that is written down tells of its session', async (t) => {
  const { store, google } = await stage(
    t,
    uploading(() => UNIT),
  );
  const writer = await store.writer('upload/data', { append: false });
  await writer.write(Buffer.concat([Buffer.alloc(UNIT), Buffer.from('rest')]));
  await writer.close();
  const { path, body, headers } = google.received.at(-1) ?? { path: '', body: '', headers: {} };
  assert.match(path, /^\/upload\/storage\/v1\/b\/bucket\/o\?uploadType=multipart$/);
  const boundary = /boundary=(\S+)/.exec(String(headers['content-type']))?.[1] ?? '';
  const [, description = '', content = ''] = body.split(`--${boundary}`);
  assert.deepEqual(JSON.parse(description.split('\r\n\r\n')[1] ?? ''), {
    name: 'upload/data',
    contentType: 'application/x-docker-upload-session',
    metadata: { 'Session-URI': google.url + SESSION, Offset: String(UNIT) },
  });
  assert.equal(content.split('\r\n\r\n')[1], 'rest\r\n');
});

/** An upload as another process left it. */
function left(session: string) {
  return ({ method, path }: ReceivedRequest): PreparedAnswer => {
    if (method === 'PUT') return { status: 200 };
    if (path.includes('alt=media')) {
      return { body: 'rest', headers: { 'content-type': 'application/x-docker-upload-session' } };
    }
    return {
      body: {
        size: '4',
        generation: '7',
        contentType: 'application/x-docker-upload-session',
        metadata: { 'Session-URI': session, Offset: String(UNIT) },
      },
    };
  };
}

test('the session of another process is finished with what was left, and without a token', async (t) => {
  const { store, google } = await stage(t, (request, _, url) => left(url + SESSION)(request));
  assert.equal(await store.unfinishedSize('upload/data'), UNIT + 4);
  assert.equal(await store.head('upload/data'), undefined);
  assert.equal(await store.get('upload/data'), undefined);
  assert.equal(await store.read('upload/data'), undefined);
  assert.equal(await store.seal('upload/data'), true);
  const last = google.received.at(-1);
  assert.equal(last?.headers['content-range'], `bytes ${UNIT}-${UNIT + 3}/${UNIT + 4}`);
  assert.deepEqual([last.body, last.headers.authorization], ['rest', undefined]);
  assert.ok(google.received.some(({ path }) => path.endsWith('?generation=7&alt=media')));
});

test('an address that leads elsewhere is sent nothing', async (t) => {
  const thief = await standInService(t, () => ({}));
  const { store } = await stage(t, (request) => left(thief.url + SESSION)(request));
  await assert.rejects(store.seal('upload/data'), { message: /does not lead to Google Cloud Storage/ });
  assert.equal(thief.received.length, 0);
});

test('a session that has ended is told, not taken for a missing upload', async (t) => {
  for (const status of [404, 410]) {
    const { store } = await stage(t, (request, _, url) =>
      request.method === 'PUT' ? { status } : left(url + SESSION)(request),
    );
    await assert.rejects(store.seal('upload/data'), { message: /410 uploadLost/ });
  }
});

test('a copy that Google makes step by step is followed to its end', async (t) => {
  const { store, google } = await stage(t, (_, count) => ({
    body: count < 3 ? { done: false, rewriteToken: `step ${count}` } : { done: true },
  }));
  assert.equal(await store.copy('a/b', 'c/d'), true);
  assert.deepEqual(
    google.received.map(({ path }) => path),
    ['', '?rewriteToken=step+1', '?rewriteToken=step+2'].map(
      (query) => `/storage/v1/b/bucket/o/a%2Fb/rewriteTo/b/bucket/o/c%2Fd${query}`,
    ),
  );
});

test('a bucket that is gone is a failure; none of its objects is taken for missing', async (t) => {
  const message = 'The specified bucket does not exist.';
  const { store } = await stage(t, () => ({ status: 404, body: { error: { code: 404, message } } }));
  for (const ask of [
    () => store.head('a'),
    () => store.get('a'),
    () => store.read('a'),
    () => store.copy('a', 'b'),
  ]) {
    await assert.rejects(ask(), { code: 'UNAVAILABLE' });
  }
});

test('a refusal says its reason', async (t) => {
  const error = { code: 403, message: 'no access for x', errors: [{ reason: 'forbidden' }] };
  const { store } = await stage(t, () => ({ status: 403, body: { error } }));
  await assert.rejects(store.put('a', Buffer.from('x')), (thrown: Error) => {
    assert.equal(thrown.message, 'the storage of the registry answered 403 forbidden');
    assert.match(String(thrown.cause), /no access for x/);
    return true;
  });
});

test('lists pass over uploads, and go through all pages in order', async (t) => {
  const item = (name: string, contentType: string) => ({
    name,
    contentType,
    size: '1',
    updated: '2026-01-01T00:00:00Z',
  });
  const pages = [
    {
      items: [item('a/3', 'x'), item('a/2', 'application/x-docker-upload-session')],
      prefixes: ['a/1/'],
      nextPageToken: 'more',
    },
    { items: [item('a/4', 'x')] },
  ];
  const { store, google } = await stage(t, (_, count) => ({ body: pages[count - 1] ?? {} }));
  const listed = await Array.fromAsync(store.list('a/', { shallow: true }), ({ key }) => key);
  assert.deepEqual(listed, ['a/1/', 'a/3', 'a/4']);
  assert.match(google.received[1]?.path ?? '', /prefix=a%2F&delimiter=%2F&.*&pageToken=more$/);
});

test('no more requests than allowed are on their way at once, and each says who asks', async (t) => {
  const { store, google } = await stage(t, () => ({ status: 404 }), { concurrency: 1, userAgent: 'me/1' });
  let most = 0;
  const heads = Array.from({ length: 5 }, async (_, index) => {
    await store.head(`key ${index}`);
    most = Math.max(most, google.received.length - index);
  });
  await Promise.all(heads);
  assert.ok(most <= 2, `${most}`);
  assert.deepEqual(new Set(google.received.map(({ headers }) => headers['user-agent'])), new Set(['me/1']));
  assert.deepEqual(
    new Set(google.received.map(({ headers }) => headers.authorization)),
    new Set(['Bearer token']),
  );
});

test('where Google does not sign, clients read through the server, and the log says so once', async (t) => {
  const signer = {
    email: async () => 'a@b',
    sign: () => Promise.reject(new Error('the identity may not sign')),
  };
  const { store, records } = await stage(t, () => ({ status: 404 }), { signer });
  assert.equal(await store.redirectUrl('a', 'GET'), undefined);
  assert.equal(await store.redirectUrl('a', 'GET'), undefined);
  assert.deepEqual(
    records.map(({ message }) => message),
    ['no URL can be signed, so clients read through this server'],
  );
  await assert.rejects(store.deleteWithin?.('a', 5_000) ?? Promise.resolve(), /may not sign/);
});

test("a delete's signature is dated by Google's clock, and ends with the time that there is", async (t) => {
  const signer = { email: async () => 'a@b', sign: async () => Buffer.from('ab', 'hex') };
  const date = 'Sat, 01 Jan 2000 00:00:00 GMT';
  const { store, google } = await stage(
    t,
    ({ method }) => ({ status: method === 'DELETE' ? 204 : 404, headers: { date } }),
    { signer },
  );
  // Any answer tells the time; who opens a bucket has one.
  await store.head('a/b');
  assert.equal(await store.deleteWithin?.('a/b', 4_999), true);
  const url = new URL(google.received.at(-1)?.path ?? '', google.url);
  assert.equal(url.pathname, '/bucket/a/b');
  assert.equal(url.searchParams.get('X-Goog-Date'), '20000101T000000Z');
  assert.equal(url.searchParams.get('X-Goog-Expires'), '4');
  assert.equal(google.received.at(-1)?.headers.authorization, undefined);
});
