import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { openRaw, sendRaw } from '../../support/raw-request.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';

/**
 * What the server answers to bytes that no client library would send. A row: the request line, headers and body, then
 * status, code and, where it says something, the message. `{upload}` is an upload of repository `a` that has 5 bytes.
 */
type Row = readonly [
  line: string,
  rest: string | { readonly headers?: readonly string[]; readonly body?: string; readonly cut?: true },
  status: number,
  code?: string,
  message?: RegExp,
];

const content = 'hello';
const digest = digestOf(Buffer.from(content));
const sha512 = digestOf(Buffer.from(content), 'sha512');
const other = digestOf(Buffer.from('other'));
const config = '{}';
const manifest = imageManifest({ digest: digestOf(Buffer.from(config)), size: 2 }).toString();
const manifestDigest = digestOf(Buffer.from(manifest));
const hex = (length: number): string => 'a'.repeat(length);
const body = (text: string, ...headers: readonly string[]): Row[1] => ({ body: text, headers });
const put = (text: string, type: string = mediaTypes.ociManifest): Row[1] =>
  body(text, `Content-Type: ${type}`);
/** Headers that promise more than comes. */
const cut = (text: string, ...headers: readonly string[]): Row[1] => ({ body: text, headers, cut: true });

const tables: Readonly<Record<string, readonly Row[]>> = {
  'request lines': [
    ['GET /v2/ HTTP/1.1', '', 200],
    ['GET http://other.example/v2/ HTTP/1.1', '', 200],
    ['GET HTTP://other.example:5000/v2/a/tags/list?n=1 HTTP/1.1', '', 200],
    ['GET http://other.example HTTP/1.1', '', 200],
    ['GET http://other.example?x HTTP/1.1', '', 200],
    ['GET http:///v2/ HTTP/1.1', '', 404, 'UNSUPPORTED', /no such path/],
    ['GET ftp://other.example/v2/ HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['OPTIONS * HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET v2/ HTTP/1.1', '', 400, 'UNSUPPORTED', /not a request/],
    ['GET /v2/ HTTP/1.0', '', 200],
    ['GET /v2/ HTTP/3.7', '', 400, 'UNSUPPORTED', /not a request/],
    ['GET /v2/', '', 200],
    ['BREW /v2/ HTTP/1.1', '', 400, 'UNSUPPORTED', /not a request/],
    ['get /v2/ HTTP/1.1', '', 400, 'UNSUPPORTED', /not a request/],
    ['\x16\x03\x01\x02\x00', '', 400, 'UNSUPPORTED', /not a request/],
    ['GET /v2/ HTTP/1.1', { headers: ['X : y'] }, 400, 'UNSUPPORTED'],
    ['GET /v2/ HTTP/1.1', { headers: ['X: a\x00b'] }, 400, 'UNSUPPORTED'],
    ['GET /v2/ HTTP/1.1', { headers: [`X: ${hex(70_000)}`] }, 431, 'UNSUPPORTED', /headers are too large/],
    ['GET /v2/ HTTP/1.1', { headers: [`X: ${hex(50_000)}`] }, 200],
    [`GET /v2/${hex(40_000)}/tags/list HTTP/1.1`, '', 400, 'NAME_INVALID'],
    [`GET /v2/${hex(70_000)}/tags/list HTTP/1.1`, '', 431, 'UNSUPPORTED'],
    ['POST /v2/a/blobs/uploads/ HTTP/1.1', { headers: ['Content-Length: -1'] }, 400, 'UNSUPPORTED'],
    [
      'POST /v2/a/blobs/uploads/ HTTP/1.1',
      { headers: ['Content-Length: 1', 'Content-Length: 2'] },
      400,
      'UNSUPPORTED',
    ],
    [
      'POST /v2/a/blobs/uploads/ HTTP/1.1',
      { headers: ['Content-Length: 1', 'Transfer-Encoding: chunked'] },
      400,
      'UNSUPPORTED',
    ],
    ['POST /v2/a/blobs/uploads/ HTTP/1.1', { headers: ['Transfer-Encoding: gzip'] }, 400, 'UNSUPPORTED'],
  ],
  paths: [
    ['GET / HTTP/1.1', '', 200],
    ['GET // HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET /v2 HTTP/1.1', '', 301],
    ['GET //v2/ HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET /v2// HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET /v2/? HTTP/1.1', '', 200],
    ['GET /v2/../v2/ HTTP/1.1', '', 404],
    ['GET /V2/ HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET /v2/a/tags/list/ HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET /v2//tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a//b/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/./tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/../tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/%2e%2e/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a/%2e%2e/%2e%2e/etc/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a%2f..%2f..%2fetc/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a%252f..%252fb/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a%5c..%5cb/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a%00/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a%0a/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a%/tags/list HTTP/1.1', '', 400, 'NAME_INVALID', /percent-encoding/],
    ['GET /v2/%ff/tags/list HTTP/1.1', '', 400, 'NAME_INVALID', /percent-encoding/],
    ['GET /v2/a%3f/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/\xc3\xa4/tags/list HTTP/1.1', '', 400, 'UNSUPPORTED', /not a request/],
    ['GET /v2/%61/tags/list HTTP/1.1', '', 200],
    ['GET /v2/_uploads/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a/_manifests/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/A/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/-a/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a-/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a___b/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a..b/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    [`GET /v2/${hex(255)}/tags/list HTTP/1.1`, '', 404, 'NAME_UNKNOWN'],
    [`GET /v2/${hex(256)}/tags/list HTTP/1.1`, '', 400, 'NAME_INVALID'],
    ['GET /v2/__proto__/tags/list HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/constructor/tags/list HTTP/1.1', '', 404, 'NAME_UNKNOWN'],
    ['GET /v2/_catalog/ HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET /v2/_token HTTP/1.1', '', 404, 'UNSUPPORTED'],
  ],
  methods: [
    ['POST /v2/ HTTP/1.1', '', 405, 'UNSUPPORTED'],
    ['DELETE /v2/_catalog HTTP/1.1', '', 405, 'UNSUPPORTED'],
    ['PUT /v2/a/tags/list HTTP/1.1', body('x'), 405, 'UNSUPPORTED'],
    ['POST /v2/a/manifests/v1 HTTP/1.1', put(manifest), 405, 'UNSUPPORTED'],
    [`PUT /v2/a/blobs/${digest} HTTP/1.1`, body(content), 405, 'UNSUPPORTED'],
    ['GET /v2/a/blobs/uploads/ HTTP/1.1', '', 405, 'UNSUPPORTED'],
    ['POST {upload} HTTP/1.1', '', 405, 'UNSUPPORTED'],
    [`DELETE /v2/a/referrers/${digest} HTTP/1.1`, '', 405, 'UNSUPPORTED'],
    ['TRACE /v2/ HTTP/1.1', '', 405, 'UNSUPPORTED'],
  ],
  lists: [
    ['GET /v2/_catalog?n=-1 HTTP/1.1', '', 400, 'PAGINATION_NUMBER_INVALID'],
    ['GET /v2/_catalog?n=x HTTP/1.1', '', 400, 'PAGINATION_NUMBER_INVALID'],
    ['GET /v2/_catalog?n=1.5 HTTP/1.1', '', 400, 'PAGINATION_NUMBER_INVALID'],
    ['GET /v2/_catalog?n=0x1 HTTP/1.1', '', 400, 'PAGINATION_NUMBER_INVALID'],
    ['GET /v2/_catalog?n=1001 HTTP/1.1', '', 400, 'PAGINATION_NUMBER_INVALID', /at most 1000/],
    ['GET /v2/_catalog?n=99999999999999999999 HTTP/1.1', '', 400, 'PAGINATION_NUMBER_INVALID'],
    ['GET /v2/_catalog?n=0 HTTP/1.1', '', 200],
    ['GET /v2/_catalog?n=&last=%00 HTTP/1.1', '', 200],
    ['GET /v2/_catalog?last=../../etc HTTP/1.1', '', 200],
    ['GET /v2/a/tags/list?n=-1 HTTP/1.1', '', 400, 'PAGINATION_NUMBER_INVALID'],
    ['GET /v2/a/tags/list?n=9999 HTTP/1.1', '', 200],
    ['GET /v2/a/tags/list?last=%ff HTTP/1.1', '', 200],
    ['GET /v2/a/referrers/sha256:x HTTP/1.1', '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/referrers/${other}?artifactType=%00 HTTP/1.1`, '', 200],
  ],
  blobs: [
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, '', 200],
    [`GET /v2/a/blobs/${digest.replace(':', '%3a')} HTTP/1.1`, '', 200],
    [`GET /v2/a/blobs/${other} HTTP/1.1`, '', 404, 'BLOB_UNKNOWN'],
    [`GET /v2/b/blobs/${digest} HTTP/1.1`, '', 404, 'BLOB_UNKNOWN'],
    ['GET /v2/a/blobs/sha256: HTTP/1.1', '', 400, 'DIGEST_INVALID'],
    ['GET /v2/a/blobs/latest HTTP/1.1', '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/blobs/sha256:${hex(63)} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/blobs/sha256:${hex(65)} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/blobs/sha256:${'A'.repeat(64)} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/blobs/SHA256:${hex(64)} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/blobs/md5:${hex(32)} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/blobs/sha512:${hex(64)} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`GET /v2/a/blobs/sha256:..%2f..%2f${hex(58)} HTTP/1.1`, '', 404, 'UNSUPPORTED'],
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, { headers: ['Range: bytes=1-2'] }, 206],
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, { headers: ['Range: bytes=0-0,4-4'] }, 206],
    [
      `GET /v2/a/blobs/${digest} HTTP/1.1`,
      { headers: ['Range: bytes=5-'] },
      416,
      'RANGE_INVALID',
      /has 5 bytes/,
    ],
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, { headers: ['Range: bytes=3-1'] }, 416, 'RANGE_INVALID'],
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, { headers: ['Range: bytes=-0'] }, 416, 'RANGE_INVALID'],
    [
      `GET /v2/a/blobs/${digest} HTTP/1.1`,
      { headers: [`Range: bytes=${'9'.repeat(400)}-`] },
      416,
      'RANGE_INVALID',
    ],
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, { headers: ['Range: bytes=x'] }, 200],
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, { headers: ['Range: lines=1-2'] }, 200],
    [`GET /v2/a/blobs/${digest} HTTP/1.1`, { headers: [`Range: bytes=${'0-0,'.repeat(5000)}0-0`] }, 200],
    [`DELETE /v2/a/blobs/${other} HTTP/1.1`, '', 404, 'BLOB_UNKNOWN'],
    ['DELETE /v2/a/blobs/sha256:x HTTP/1.1', '', 400, 'DIGEST_INVALID'],
  ],
  uploads: [
    ['POST /v2/a/blobs/uploads/?digest=x HTTP/1.1', body(content), 400, 'DIGEST_INVALID'],
    [`POST /v2/a/blobs/uploads/?digest=${other} HTTP/1.1`, body(content), 400, 'DIGEST_INVALID'],
    [`POST /v2/a/blobs/uploads/?digest=${digest} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`POST /v2/a/blobs/uploads/?digest=${sha512} HTTP/1.1`, body(content), 201],
    [`POST /v2/a/blobs/uploads/?digest=${digest}&digest=${other} HTTP/1.1`, body(content), 201],
    ['POST /v2/a/blobs/uploads/?digest-algorithm=md5 HTTP/1.1', '', 400, 'DIGEST_INVALID'],
    ['POST /v2/a/blobs/uploads/?mount=x&from=b HTTP/1.1', '', 400, 'DIGEST_INVALID'],
    [`POST /v2/a/blobs/uploads/?mount=${digest}&from=../b HTTP/1.1`, '', 202],
    [`POST /v2/a/blobs/uploads/?mount=${digest}&from=b%00 HTTP/1.1`, '', 202],
    ['POST /v2/A/blobs/uploads/ HTTP/1.1', '', 400, 'NAME_INVALID'],
    ['GET /v2/a/blobs/uploads/x HTTP/1.1', '', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['GET /v2/a/blobs/uploads/%2e%2e HTTP/1.1', '', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['GET /v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000 HTTP/1.1', '', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['GET /v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000 HTTP/1.1', '', 404, 'BLOB_UPLOAD_UNKNOWN'],
    [
      'PATCH /v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000 HTTP/1.1',
      body(content),
      404,
      'BLOB_UPLOAD_UNKNOWN',
    ],
    [
      'DELETE /v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000 HTTP/1.1',
      '',
      404,
      'BLOB_UPLOAD_UNKNOWN',
    ],
    ['PATCH {upload} HTTP/1.1', body('x', 'Content-Range: 4-4'), 416, 'RANGE_INVALID', /has 5 bytes/],
    ['PATCH {upload} HTTP/1.1', body('x', 'Content-Range: 6-6'), 416, 'RANGE_INVALID'],
    ['PATCH {upload} HTTP/1.1', body('x', 'Content-Range: x'), 416, 'RANGE_INVALID', /malformed/],
    ['PATCH {upload} HTTP/1.1', body('x', 'Content-Range: 5-4'), 400, 'SIZE_INVALID'],
    ['PATCH {upload} HTTP/1.1', body('x', 'Content-Range: 5-6'), 400, 'SIZE_INVALID'],
    ['PATCH {upload} HTTP/1.1', body('x', 'Content-Range: 5-3'), 416, 'RANGE_INVALID', /malformed/],
    [
      'PATCH {upload} HTTP/1.1',
      body('x', `Content-Range: ${'9'.repeat(30)}-${'9'.repeat(30)}`),
      416,
      'RANGE_INVALID',
    ],
    ['PATCH {upload} HTTP/1.1', body('x', 'Content-Type: text/plain'), 202],
    ['PATCH {upload} HTTP/1.1', body('1\r\nx\r\nzz\r\n', 'Transfer-Encoding: chunked'), 400, 'UNSUPPORTED'],
    ['PUT {upload} HTTP/1.1', '', 400, 'DIGEST_INVALID', /missing/],
    ['PUT {upload}?digest=sha256:x HTTP/1.1', '', 400, 'DIGEST_INVALID'],
    [`PUT {upload}?digest=${other} HTTP/1.1`, '', 400, 'DIGEST_INVALID'],
    [`PUT {upload}?digest=${digest} HTTP/1.1`, body('x', 'Content-Range: 0-0'), 416, 'RANGE_INVALID'],
    [`PUT {upload}?digest=${digest} HTTP/1.1`, '', 201],
    [`PUT {upload}?digest=${digest} HTTP/1.1`, body('0\r\n\r\n', 'Transfer-Encoding: chunked'), 201],
  ],
  manifests: [
    ['GET /v2/a/manifests/v1 HTTP/1.1', '', 200],
    ['GET /v2/a/manifests/none HTTP/1.1', '', 404, 'MANIFEST_UNKNOWN'],
    [`GET /v2/a/manifests/${other} HTTP/1.1`, '', 404, 'MANIFEST_UNKNOWN'],
    ['GET /v2/a/manifests/sha256:x HTTP/1.1', '', 400, 'DIGEST_INVALID'],
    ['GET /v2/a/manifests/-x HTTP/1.1', '', 400, 'TAG_INVALID'],
    ['GET /v2/a/manifests/..%2fx HTTP/1.1', '', 404, 'UNSUPPORTED'],
    ['GET /v2/a/manifests/%2e%2e HTTP/1.1', '', 400, 'TAG_INVALID'],
    [`GET /v2/a/manifests/${hex(129)} HTTP/1.1`, '', 400, 'TAG_INVALID'],
    ['PUT /v2/a/manifests/v2 HTTP/1.1', put(''), 400, 'MANIFEST_INVALID', /not a JSON/],
    ['PUT /v2/a/manifests/v2 HTTP/1.1', put('\xff'), 400, 'MANIFEST_INVALID', /UTF-8/],
    ['PUT /v2/a/manifests/v2 HTTP/1.1', put('null'), 400, 'MANIFEST_INVALID', /not a JSON object/],
    [
      'PUT /v2/a/manifests/v2 HTTP/1.1',
      put('{"schemaVersion":1}'),
      400,
      'MANIFEST_INVALID',
      /schemaVersion must be 2/,
    ],
    [
      'PUT /v2/a/manifests/v2 HTTP/1.1',
      put('{"schemaVersion":2}'),
      400,
      'MANIFEST_INVALID',
      /config must be a descriptor/,
    ],
    ['PUT /v2/a/manifests/v2 HTTP/1.1', put(manifest, 'text/plain'), 400, 'MANIFEST_INVALID'],
    [
      'PUT /v2/a/manifests/v2 HTTP/1.1',
      put(manifest, mediaTypes.ociIndex),
      400,
      'MANIFEST_INVALID',
      /but Content-Type is/,
    ],
    ['PUT /v2/a/manifests/v2 HTTP/1.1', put(manifest.slice(0, -5)), 400, 'MANIFEST_INVALID'],
    [
      'PUT /v2/a/manifests/v2 HTTP/1.1',
      put(manifest.replace('"size":2', '"size":-2')),
      400,
      'MANIFEST_INVALID',
      /config\.size/,
    ],
    [
      'PUT /v2/a/manifests/v2 HTTP/1.1',
      put(manifest.replace('"size":2', '"size":1e99')),
      400,
      'MANIFEST_INVALID',
      /config\.size/,
    ],
    [
      'PUT /v2/a/manifests/v2 HTTP/1.1',
      put(manifest.replace('sha256:', 'md5:')),
      400,
      'MANIFEST_INVALID',
      /config\.digest/,
    ],
    ['PUT /v2/b/manifests/v2 HTTP/1.1', put(manifest), 400, 'MANIFEST_BLOB_UNKNOWN'],
    [`PUT /v2/a/manifests/${other} HTTP/1.1`, put(manifest), 400, 'DIGEST_INVALID'],
    [`PUT /v2/a/manifests/${manifestDigest}?tag=%2e%2e HTTP/1.1`, put(manifest), 400, 'TAG_INVALID'],
    [
      `PUT /v2/a/manifests/${manifestDigest}?${'tag=x&'.repeat(101)} HTTP/1.1`,
      put(manifest),
      414,
      'TAG_INVALID',
    ],
    ['PUT /v2/a/manifests/v2 HTTP/1.1', put(`[${'['.repeat(100_000)}`), 400, 'MANIFEST_INVALID'],
    [
      'PUT /v2/a/manifests/v2 HTTP/1.1',
      cut('x', 'Content-Length: 4194305'),
      413,
      'MANIFEST_INVALID',
      /at most 4194304/,
    ],
    ['PUT /v2/a/manifests/v2 HTTP/1.1', put(manifest), 201],
    [
      'PUT /v2/a/manifests/v1 HTTP/1.1',
      body(manifest, 'If-None-Match: *'),
      412,
      'TAG_INVALID',
      /points at sha256/,
    ],
    ['PUT /v2/a/manifests/new HTTP/1.1', body(manifest, 'If-Match: *'), 412, 'TAG_INVALID', /not there/],
    ['PUT /v2/a/manifests/v1 HTTP/1.1', body(manifest, `If-Match: "${other}"`), 412, 'TAG_INVALID'],
    ['PUT /v2/a/manifests/v1 HTTP/1.1', body(manifest, `If-Match: "${manifestDigest}"`), 201],
    ['PUT /v2/a/manifests/new HTTP/1.1', body(manifest, 'If-None-Match: *'), 201],
    ['DELETE /v2/a/manifests/none HTTP/1.1', '', 404, 'MANIFEST_UNKNOWN'],
    [`DELETE /v2/a/manifests/${other} HTTP/1.1`, '', 404, 'MANIFEST_UNKNOWN'],
  ],
};

async function send(registry: TestRegistry, line: string, rest: Row[1]): ReturnType<typeof sendRaw> {
  const { headers = [], body: text = '', cut: isCut = false } = typeof rest === 'string' ? {} : rest;
  const framed = isCut || headers.some((header) => /^(content-length|transfer-encoding):/i.test(header));
  const all = [
    'Host: registry',
    ...headers,
    ...(text === '' || framed ? [] : [`Content-Length: ${text.length}`]),
  ];
  return sendRaw(registry.server.address, `${line}\r\n${all.join('\r\n')}\r\n\r\n${text}`);
}

/** A registry with blob and manifest in `a`. */
async function start(t: TestContext): Promise<TestRegistry> {
  const registry = await startTestRegistry(t);
  for (const [line, rest] of [
    [`POST /v2/a/blobs/uploads/?digest=${digest} HTTP/1.1`, body(content)],
    [`POST /v2/a/blobs/uploads/?digest=${digestOf(Buffer.from(config))} HTTP/1.1`, body(config)],
    ['PUT /v2/a/manifests/v1 HTTP/1.1', put(manifest)],
  ] as const) {
    assert.equal((await send(registry, line, rest)).status, 201, line);
  }
  return registry;
}

async function openUpload(registry: TestRegistry): Promise<string> {
  const opened = await send(registry, 'POST /v2/a/blobs/uploads/ HTTP/1.1', '');
  const { pathname } = new URL(opened.headers.get('location') ?? '');
  assert.equal((await send(registry, `PATCH ${pathname} HTTP/1.1`, body(content))).status, 202);
  return pathname;
}

for (const [title, rows] of Object.entries(tables)) {
  test(`raw requests: ${title}`, async (t) => {
    const registry = await start(t);
    for (const [line, rest, status, code, message] of rows) {
      const target = line.includes('{upload}') ? line.replace('{upload}', await openUpload(registry)) : line;
      const answer = await send(registry, target, rest);
      const shown = `${line.slice(0, 200)} ${JSON.stringify(rest).slice(0, 200)} -> ${answer.status} ${answer.body}`;
      assert.equal(answer.status, status, shown);
      if (code === undefined) continue;
      assert.equal(answer.headers.get('content-type'), 'application/json', shown);
      const { errors } = JSON.parse(answer.body) as {
        readonly errors: readonly { code: string; message: string }[];
      }; // the spec's shape
      assert.equal(errors[0]?.code, code, shown);
      if (message) assert.match(errors[0]?.message ?? '', message, shown);
    }
    assert.deepEqual(
      registry.records.filter(({ level }) => level === 'error' || level === 'warn'),
      [],
      'nothing that a client sends is an error of the server',
    );
  });
}

test('an absolute target names the host of a Location', async (t) => {
  const registry = await startTestRegistry(t);
  const answer = await send(registry, 'POST http://public.example:444/v2/a/blobs/uploads/ HTTP/1.1', '');
  assert.equal(answer.status, 202);
  assert.match(
    answer.headers.get('location') ?? '',
    /^http:\/\/public\.example:444\/v2\/a\/blobs\/uploads\//,
  );
});

test('whatever bytes come, the server answers or closes the connection, and goes on', async (t) => {
  const registry = await start(t);
  const line = fc.constantFrom(...Object.values(tables).flatMap((rows) => rows.map(([text]) => text)));
  const header = fc.oneof(
    fc.constantFrom(
      'Host: x',
      'Content-Length: 5',
      'Transfer-Encoding: chunked',
      'Range: bytes=0-',
      'Expect: 100-continue',
      'Upgrade: h2c',
    ),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );
  const request = fc
    .tuple(line, fc.array(header, { maxLength: 4 }), fc.string({ unit: 'binary', maxLength: 40 }))
    .map(([first, headers, rest]) => Buffer.from([first, ...headers, '', rest].join('\r\n'), 'latin1'));
  const bytes = fc.oneof(
    request,
    fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array)),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      const socket = await openRaw(registry.server.address);
      socket.resume().on('error', () => undefined);
      // The other side may close first, and what is still on its way is lost.
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.end(sent);
      await closed;
    }),
    { numRuns: 200 },
  );
  assert.equal((await send(registry, 'GET /v2/ HTTP/1.1', '')).status, 200);
  assert.deepEqual(
    registry.records.filter(({ level }) => level === 'error'),
    [],
  );
});
