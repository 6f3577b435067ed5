import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { converse, type Call } from '../../support/protocol.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

const content = 'The quick brown fox jumps over the lazy dog.';
const digest = digestOf(Buffer.from(content));
const sha512 = digestOf(Buffer.from(content), 'sha512');
const other = digestOf(Buffer.from('other'));
const emptyBlob = digestOf(Buffer.alloc(0));

const uploadPath = /^http:\/\/127\.0\.0\.1:\d+\/v2\/a\/blobs\/uploads\/[0-9a-f-]{36}$/;
const opened: Call = {
  send: 'POST /v2/a/blobs/uploads/',
  status: 202,
  answer: {
    location: uploadPath,
    range: '0-0',
    'docker-upload-uuid': /^[0-9a-f-]{36}$/,
    'content-length': '0',
  },
};
const created = {
  status: 201,
  answer: {
    location: new RegExp(`/v2/a/blobs/${digest}$`),
    'docker-content-digest': digest,
    'content-length': '0',
  },
} as const;
const pulled: Call = {
  send: `GET /v2/a/blobs/${digest}`,
  status: 200,
  text: content,
  answer: {
    'content-length': String(content.length),
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    'cache-control': 'max-age=31536000',
  },
};
const pushed: readonly Call[] = [
  opened,
  { send: `PUT {location}?digest=${digest}`, body: content, ...created },
];

const conversations: Readonly<Record<string, readonly Call[]>> = {
  'POST then PUT': [...pushed, pulled, { ...pulled, send: `HEAD /v2/a/blobs/${digest}`, text: '' }],
  'a PUT of unknown length': [
    opened,
    { send: `PUT {location}?digest=${digest}`, body: content, chunked: true, ...created },
    pulled,
  ],
  'a single POST': [
    { send: `POST /v2/a/blobs/uploads/?digest=${digest}`, body: content, ...created },
    pulled,
  ],
  'a POST without the slash at the end': [{ ...opened, send: 'POST /v2/a/blobs/uploads' }],
  'a stream, then PUT': [
    opened,
    {
      send: 'PATCH {location}',
      body: content,
      chunked: true,
      status: 202,
      answer: { location: uploadPath, range: '0-43' },
    },
    { send: `PUT {location}?digest=${digest}`, ...created },
    pulled,
  ],
  'chunks, with the last in the PUT': [
    opened,
    {
      send: 'PATCH {location}',
      headers: { 'content-range': '0-9' },
      body: content.slice(0, 10),
      status: 202,
      answer: { range: '0-9' },
    },
    {
      send: 'GET {location}',
      status: 204,
      answer: { range: '0-9', location: uploadPath, 'docker-upload-uuid': /./ },
    },
    {
      send: 'PATCH {location}',
      headers: { 'content-range': 'bytes 10-19/*' },
      body: content.slice(10, 20),
      status: 202,
      answer: { range: '0-19' },
    },
    {
      send: `PUT {location}?digest=${digest}`,
      headers: { 'content-range': '20-43' },
      body: content.slice(20),
      ...created,
    },
    pulled,
    { send: 'GET {location}', status: 200, text: content },
  ],
  'a chunk out of order is refused with the way on': [
    opened,
    {
      send: 'PATCH {location}',
      headers: { 'content-range': '0-9' },
      body: content.slice(0, 10),
      status: 202,
    },
    {
      send: 'PATCH {location}',
      headers: { 'content-range': '20-29' },
      body: content.slice(20, 30),
      status: 416,
      code: 'RANGE_INVALID',
      answer: { location: uploadPath, range: '0-9' },
    },
    {
      send: 'PATCH {location}',
      headers: { 'content-range': '0-9' },
      body: content.slice(0, 10),
      status: 416,
      code: 'RANGE_INVALID',
      answer: { range: '0-9' },
    },
    {
      send: `PUT {location}?digest=${digest}`,
      headers: { 'content-range': '30-43' },
      body: content.slice(30),
      status: 416,
      code: 'RANGE_INVALID',
      answer: { location: uploadPath, range: '0-9' },
    },
    {
      send: 'PATCH {location}',
      headers: { 'content-range': 'x' },
      body: 'x',
      status: 416,
      code: 'RANGE_INVALID',
    },
    {
      send: 'PATCH {location}',
      headers: { 'content-range': '10-99' },
      body: content.slice(10),
      status: 400,
      code: 'SIZE_INVALID',
    },
    { send: `PUT {location}?digest=${digest}`, body: content.slice(10), ...created },
    pulled,
  ],
  'a cancelled upload is gone': [
    opened,
    { send: 'DELETE {location}', status: 204, answer: { 'docker-upload-uuid': /./ } },
    { send: 'GET {location}', status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
    { send: 'DELETE {location}', status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
    { send: `PUT {location}?digest=${digest}`, body: content, status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
  ],
  'a wrong digest is refused, and the upload is over': [
    opened,
    { send: `PUT {location}?digest=${other}`, body: content, status: 400, code: 'DIGEST_INVALID' },
    { send: 'GET {location}', status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
    { send: `GET /v2/a/blobs/${other}`, status: 404, code: 'BLOB_UNKNOWN' },
    { send: `POST /v2/a/blobs/uploads/?digest=${other}`, body: content, status: 400, code: 'DIGEST_INVALID' },
  ],
  'a missing or malformed digest is refused, and the upload goes on': [
    opened,
    { send: 'PUT {location}', body: '', status: 400, code: 'DIGEST_INVALID' },
    { send: 'PUT {location}?digest=sha256:x', body: '', status: 400, code: 'DIGEST_INVALID' },
    { send: 'POST /v2/a/blobs/uploads/?digest=x', body: '', status: 400, code: 'DIGEST_INVALID' },
    { send: 'POST /v2/a/blobs/uploads/?digest-algorithm=md5', status: 400, code: 'DIGEST_INVALID' },
    { send: 'POST /v2/a/blobs/uploads/?mount=x&from=b', status: 400, code: 'DIGEST_INVALID' },
  ],
  'a blob by its sha512 digest': [
    { ...opened, send: 'POST /v2/a/blobs/uploads/?digest-algorithm=sha512' },
    {
      send: `PUT {location}?digest=${sha512}`,
      body: content,
      status: 201,
      answer: { 'docker-content-digest': sha512 },
    },
    {
      send: `GET /v2/a/blobs/${sha512}`,
      status: 200,
      text: content,
      answer: { 'docker-content-digest': sha512 },
    },
  ],
  'an empty blob': [
    opened,
    { send: `PUT {location}?digest=${emptyBlob}`, status: 201 },
    { send: `GET /v2/a/blobs/${emptyBlob}`, status: 200, text: '', answer: { 'content-length': '0' } },
    { send: `GET /v2/a/blobs/${emptyBlob}`, headers: { range: 'bytes=0-' }, status: 200, text: '' },
  ],
  'ranges and conditions': [
    ...pushed,
    {
      send: pulled.send,
      headers: { range: 'bytes=4-8' },
      status: 206,
      text: 'quick',
      answer: { 'content-range': 'bytes 4-8/44', 'content-length': '5' },
    },
    {
      send: pulled.send,
      headers: { range: 'bytes=40-' },
      status: 206,
      text: 'dog.',
      answer: { 'content-range': 'bytes 40-43/44' },
    },
    { send: pulled.send, headers: { range: 'bytes=-4' }, status: 206, text: 'dog.' },
    { send: pulled.send, headers: { range: 'bytes=40-4000' }, status: 206, text: 'dog.' },
    {
      send: pulled.send,
      headers: { range: 'bytes=0-1,4-5' },
      status: 206,
      answer: { 'content-type': /^multipart\/byteranges; boundary=[\w-]+$/, 'content-range': null },
    },
    { send: pulled.send, headers: { range: 'bytes=0-30,10-43' }, status: 200, text: content },
    {
      send: pulled.send,
      headers: { range: 'bytes=44-' },
      status: 416,
      code: 'RANGE_INVALID',
      answer: { 'content-range': 'bytes */44' },
    },
    { send: pulled.send, headers: { range: 'bytes=500-0' }, status: 416, code: 'RANGE_INVALID' },
    { send: pulled.send, headers: { range: 'bytes=0-1', 'if-range': '"x"' }, status: 200, text: content },
    {
      send: pulled.send,
      headers: { range: 'bytes=0-1', 'if-range': `"${digest}"` },
      status: 206,
      text: 'Th',
    },
    {
      send: pulled.send,
      headers: { 'if-none-match': `"x", W/"${digest}"` },
      status: 304,
      text: '',
      answer: { etag: `"${digest}"`, 'content-length': null },
    },
    { send: pulled.send, headers: { 'if-none-match': '"x"' }, status: 200, text: content },
  ],
  'a blob belongs to the repositories that it was pushed or mounted to': [
    ...pushed,
    { send: `GET /v2/b/blobs/${digest}`, status: 404, code: 'BLOB_UNKNOWN' },
    {
      send: `POST /v2/b/blobs/uploads/?mount=${digest}&from=a`,
      status: 201,
      answer: { location: new RegExp(`/v2/b/blobs/${digest}$`), 'docker-content-digest': digest },
    },
    { send: `GET /v2/b/blobs/${digest}`, status: 200, text: content },
    {
      send: `POST /v2/b/blobs/uploads/?mount=${other}&from=a`,
      status: 202,
      answer: { 'docker-upload-uuid': /./ },
    },
    { send: `POST /v2/b/blobs/uploads/?mount=${digest}&from=NoName`, status: 202 },
    { send: `POST /v2/b/blobs/uploads/?mount=${digest}`, status: 202 },
    { send: `DELETE /v2/b/blobs/${digest}`, status: 202, answer: { 'content-length': '0' } },
    { send: `GET /v2/b/blobs/${digest}`, status: 404, code: 'BLOB_UNKNOWN' },
    { send: `DELETE /v2/b/blobs/${digest}`, status: 404, code: 'BLOB_UNKNOWN' },
    pulled,
  ],
};

for (const [title, calls] of Object.entries(conversations)) {
  test(`blobs: ${title}`, async (t) => converse((await startTestRegistry(t)).url, calls));
}

test('blobs: with deletes off a delete is 405 and says how to turn them on', async (t) => {
  const { url } = await startTestRegistry(t, { REGISTRY_STORAGE_DELETE_ENABLED: 'false' });
  await converse(url, [
    ...pushed,
    {
      send: `DELETE /v2/a/blobs/${digest}`,
      status: 405,
      code: 'UNSUPPORTED',
      json: {
        errors: [
          { message: 'deletes are disabled; the registry allows them with storage.delete.enabled: true' },
        ],
      },
    },
    pulled,
  ]);
});

test('a single POST that is cut off leaves nothing, since nobody knows the upload', async (t) => {
  const { url, folder } = await startTestRegistry(t);
  const uploads = join(folder, 'storage/docker/registry/v2/repositories/a/_uploads');
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(
    `POST /v2/a/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: r\r\nContent-Length: 9000000\r\n\r\n`,
  );
  socket.write(Buffer.alloc(1_000_000));
  await waitFor(() => existsSync(uploads) && readdirSync(uploads).length === 1);
  socket.destroy();
  await waitFor(() => readdirSync(uploads).length === 0);
});
