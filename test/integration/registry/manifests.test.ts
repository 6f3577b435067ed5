import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { LARGEST_MANIFEST_BYTES } from '../../../src/oci/manifest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { converse, type Call } from '../../support/protocol.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const config = '{}';
const layer = 'layer';
const descriptor = (content: string, mediaType: string): object => ({
  mediaType,
  digest: digestOf(Buffer.from(content)),
  size: Buffer.byteLength(content),
});

function image(more: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
    layers: [descriptor(layer, 'application/vnd.oci.image.layer.v1.tar')],
    ...more,
  });
}

function index(children: readonly string[], more: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: children.map((child) => descriptor(child, mediaTypes.ociManifest)),
    ...more,
  });
}

const blob = (content: string, repository = 'a'): Call => ({
  send: `POST /v2/${repository}/blobs/uploads/?digest=${digestOf(Buffer.from(content))}`,
  body: content,
  status: 201,
});
const blobs: readonly Call[] = [blob(config), blob(layer)];
const put = (reference: string, body: string, more: Partial<Call> = {}): Call => ({
  send: `PUT /v2/a/manifests/${reference}`,
  headers: { 'content-type': mediaTypes.ociManifest },
  body,
  status: 201,
  ...more,
});

const plain = image();
const digest = digestOf(Buffer.from(plain));
const sha512 = digestOf(Buffer.from(plain), 'sha512');
const docker = JSON.stringify({
  schemaVersion: 2,
  mediaType: mediaTypes.dockerManifest,
  config: descriptor(config, 'application/vnd.docker.container.image.v1+json'),
  layers: [],
});
const dockerDigest = digestOf(Buffer.from(docker));
const pulledPlain = {
  status: 200,
  text: plain,
  answer: {
    'content-type': mediaTypes.ociManifest,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'content-length': String(plain.length),
  },
} as const;

const conversations: Readonly<Record<string, readonly Call[]>> = {
  'by tag, pulled by tag and digest, byte for byte': [
    ...blobs,
    put('latest', plain, {
      answer: {
        location: new RegExp(`/v2/a/manifests/${digest}$`),
        'docker-content-digest': digest,
        'oci-subject': null,
        'oci-tag': null,
      },
    }),
    { send: 'GET /v2/a/manifests/latest', ...pulledPlain },
    { send: `GET /v2/a/manifests/${digest}`, ...pulledPlain },
    { send: 'HEAD /v2/a/manifests/latest', ...pulledPlain, text: '' },
    {
      send: 'GET /v2/a/manifests/latest',
      headers: { 'if-none-match': `"${digest}"` },
      status: 304,
      text: '',
    },
    { send: 'GET /v2/a/manifests/other', status: 404, code: 'MANIFEST_UNKNOWN' },
    { send: `GET /v2/b/manifests/${digest}`, status: 404, code: 'MANIFEST_UNKNOWN' },
  ],
  'Accept never leads to another manifest, nor to 404': [
    ...blobs,
    put('oci', plain),
    put('docker', docker, { headers: { 'content-type': `${mediaTypes.dockerManifest}; charset=utf-8` } }),
    ...[
      '*/*',
      'application/json',
      mediaTypes.dockerManifest,
      mediaTypes.dockerManifestList,
      'text/html',
    ].flatMap((accept): Call[] => [
      { send: 'GET /v2/a/manifests/oci', headers: { accept }, ...pulledPlain },
      {
        send: 'HEAD /v2/a/manifests/docker',
        headers: { accept },
        status: 200,
        answer: { 'content-type': mediaTypes.dockerManifest, 'docker-content-digest': dockerDigest },
      },
    ]),
  ],
  'by digest, with tags as parameters': [
    ...blobs,
    put(`${digest}?tag=one&tag=two&tag=one`, plain, { answer: { 'oci-tag': /^one, ?two$|^one,two$/ } }),
    { send: 'GET /v2/a/manifests/two', ...pulledPlain },
    put(`${digest}?tag=-`, plain, { status: 400, code: 'TAG_INVALID' }),
    put(`${digest}?${'tag=x&'.repeat(101)}`, plain, { status: 414, code: 'TAG_INVALID' }),
    put(digestOf(Buffer.from('x')), plain, { status: 400, code: 'DIGEST_INVALID' }),
    put(sha512, plain, { answer: { 'docker-content-digest': sha512 } }),
    {
      send: `GET /v2/a/manifests/${sha512}`,
      status: 200,
      text: plain,
      answer: { 'docker-content-digest': sha512 },
    },
  ],
  'bad ones are refused, each with its reason': [
    blob(config),
    put('x', plain, {
      status: 400,
      code: 'MANIFEST_BLOB_UNKNOWN',
      json: { errors: [{ detail: digestOf(Buffer.from(layer)) }] },
    }),
    put('x', '{', { status: 400, code: 'MANIFEST_INVALID' }),
    put('x', '[]', { status: 400, code: 'MANIFEST_INVALID' }),
    put('x', plain, { headers: { 'content-type': 'text/plain' }, status: 400, code: 'MANIFEST_INVALID' }),
    put('x', plain, {
      headers: { 'content-type': mediaTypes.ociIndex },
      status: 400,
      code: 'MANIFEST_INVALID',
    }),
    put('x'.repeat(129), plain, { status: 400, code: 'TAG_INVALID' }),
    put('x', 'x'.repeat(LARGEST_MANIFEST_BYTES + 1), { status: 413, code: 'MANIFEST_INVALID' }),
    put('x', 'x'.repeat(LARGEST_MANIFEST_BYTES + 1), {
      chunked: true,
      status: 413,
      code: 'MANIFEST_INVALID',
    }),
    { send: 'GET /v2/a/manifests/x', status: 404, code: 'MANIFEST_UNKNOWN' },
  ],
  'a large one of almost 4 MiB is taken': [
    ...blobs,
    put('large', image({ annotations: { a: 'x'.repeat(LARGEST_MANIFEST_BYTES - 1000) } })),
    { send: 'HEAD /v2/a/manifests/large', status: 200 },
  ],
  'an index needs its children': [
    ...blobs,
    put('i', index([plain]), {
      headers: { 'content-type': mediaTypes.ociIndex },
      status: 400,
      code: 'MANIFEST_BLOB_UNKNOWN',
    }),
    put(digest, plain),
    put('i', index([plain]), { headers: { 'content-type': mediaTypes.ociIndex } }),
    put('empty', index([]), { headers: { 'content-type': mediaTypes.ociIndex } }),
    {
      send: 'GET /v2/a/manifests/i',
      status: 200,
      text: index([plain]),
      answer: { 'content-type': mediaTypes.ociIndex },
    },
  ],
  'a delete by digest takes the tags with it, a delete of a tag goes alone': [
    ...blobs,
    put('one', plain),
    put('two', plain),
    { send: 'DELETE /v2/a/manifests/one', status: 202, answer: { 'content-length': '0' } },
    { send: 'GET /v2/a/manifests/one', status: 404, code: 'MANIFEST_UNKNOWN' },
    { send: 'DELETE /v2/a/manifests/one', status: 404, code: 'MANIFEST_UNKNOWN' },
    { send: 'GET /v2/a/manifests/two', ...pulledPlain },
    { send: `DELETE /v2/a/manifests/${digest}`, status: 202 },
    { send: 'GET /v2/a/manifests/two', status: 404, code: 'MANIFEST_UNKNOWN' },
    { send: `DELETE /v2/a/manifests/${digest}`, status: 404, code: 'MANIFEST_UNKNOWN' },
    { send: 'GET /v2/a/tags/list', status: 200, json: { name: 'a', tags: [] } },
  ],
};

const subject = descriptor(plain, mediaTypes.ociManifest);
const signature = image({ subject, artifactType: 'application/x-signature', annotations: { by: 'me' } });
const sbom = image({ subject, layers: [] });
const list = `/v2/a/referrers/${digest}`;
const referrersAnswer = { 'content-type': mediaTypes.ociIndex, 'oci-filters-applied': null };
const referrers: readonly Call[] = [
  {
    send: `GET ${list}`,
    status: 200,
    answer: referrersAnswer,
    json: { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] },
  },
  ...blobs,
  put(digestOf(Buffer.from(signature)), signature, { answer: { 'oci-subject': digest } }),
  put(digestOf(Buffer.from(sbom)), sbom, { answer: { 'oci-subject': digest } }),
  {
    send: `GET ${list}?artifactType=application/x-signature`,
    status: 200,
    answer: { 'oci-filters-applied': 'artifactType' },
    json: {
      manifests: [
        {
          mediaType: mediaTypes.ociManifest,
          digest: digestOf(Buffer.from(signature)),
          size: signature.length,
          artifactType: 'application/x-signature',
          annotations: { by: 'me' },
        },
      ],
    },
  },
  {
    send: `GET ${list}?artifactType=application/vnd.oci.image.config.v1%2Bjson`,
    status: 200,
    json: {
      manifests: [
        { digest: digestOf(Buffer.from(sbom)), artifactType: 'application/vnd.oci.image.config.v1+json' },
      ],
    },
  },
  { send: `GET ${list}?artifactType=none`, status: 200, json: { manifests: [] } },
  { send: 'GET /v2/a/referrers/sha256:x', status: 400, code: 'DIGEST_INVALID' },
  { send: `DELETE /v2/a/manifests/${digestOf(Buffer.from(sbom))}`, status: 202 },
  {
    send: `GET ${list}`,
    status: 200,
    answer: referrersAnswer,
    json: { manifests: [{ digest: digestOf(Buffer.from(signature)) }] },
  },
];

for (const [title, calls] of Object.entries({
  ...conversations,
  'referrers are listed and filtered, also of a subject that is not there': referrers,
})) {
  test(`manifests: ${title}`, async (t) => converse((await startTestRegistry(t)).url, calls));
}
