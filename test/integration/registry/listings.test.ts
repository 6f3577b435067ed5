import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { converse, type Call } from '../../support/protocol.ts';
import { startTestRegistry } from '../../support/test-registry.ts';

const manifest = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
const digest = digestOf(Buffer.from(manifest));

function push(repository: string, ...tags: readonly string[]): Call {
  return {
    send: `PUT /v2/${repository}/manifests/${digest}?${tags.map((tag) => `tag=${tag}`).join('&')}`,
    headers: { 'content-type': mediaTypes.ociIndex },
    body: manifest,
    status: 201,
  };
}

const page = (
  send: string,
  key: 'tags' | 'repositories',
  names: readonly string[],
  link: string | null,
): Call => ({
  send,
  status: 200,
  json: { [key]: names },
  answer: { link, 'content-type': 'application/json' },
});

test('tags are sorted bytewise and paged', async (t) => {
  const { url } = await startTestRegistry(t, { REGISTRY_TAGS_MAXTAGS: '3' });
  const link = (last: string, n: number): string => `</v2/a/b/tags/list?last=${last}&n=${n}>; rel="next"`;
  await converse(url, [
    { send: 'GET /v2/a/b/tags/list', status: 404, code: 'NAME_UNKNOWN' },
    push('a/b', 'b', 'a', 'B', '1', '_'),
    page('GET /v2/a/b/tags/list', 'tags', ['1', 'B', '_', 'a', 'b'], null),
    page('GET /v2/a/b/tags/list?n=2', 'tags', ['1', 'B'], link('B', 2)),
    page('GET /v2/a/b/tags/list?last=B&n=2', 'tags', ['_', 'a'], link('a', 2)),
    page('GET /v2/a/b/tags/list?last=a&n=2', 'tags', ['b'], null),
    page('GET /v2/a/b/tags/list?last=b&n=2', 'tags', [], null),
    page('GET /v2/a/b/tags/list?last=AA', 'tags', ['B', '_', 'a', 'b'], null),
    page('GET /v2/a/b/tags/list?n=100', 'tags', ['1', 'B', '_'], link('_', 3)),
    page('GET /v2/a/b/tags/list?n=0', 'tags', [], null),
    { send: 'GET /v2/a/b/tags/list?n=-1', status: 400, code: 'PAGINATION_NUMBER_INVALID' },
    { send: 'GET /v2/a/b/tags/list?n=x', status: 400, code: 'PAGINATION_NUMBER_INVALID' },
  ]);
});

test('the catalog is sorted bytewise and paged', async (t) => {
  const { url } = await startTestRegistry(t, { REGISTRY_CATALOG_MAXENTRIES: '4' });
  const link = (last: string, n: number): string =>
    `</v2/_catalog?last=${encodeURIComponent(last)}&n=${n}>; rel="next"`;
  await converse(url, [
    page('GET /v2/_catalog', 'repositories', [], null),
    push('b'),
    push('a/c'),
    push('a'),
    push('a-b'),
    page('GET /v2/_catalog', 'repositories', ['a', 'a-b', 'a/c', 'b'], null),
    page('GET /v2/_catalog?n=2', 'repositories', ['a', 'a-b'], link('a-b', 2)),
    page('GET /v2/_catalog?n=2&last=a-b', 'repositories', ['a/c', 'b'], null),
    page('GET /v2/_catalog?n=1&last=a-b', 'repositories', ['a/c'], link('a/c', 1)),
    page('GET /v2/_catalog?n=0', 'repositories', [], null),
    { send: 'GET /v2/_catalog?n=5', status: 400, code: 'PAGINATION_NUMBER_INVALID' },
    { send: 'GET /v2/_catalog?n=x', status: 400, code: 'PAGINATION_NUMBER_INVALID' },
  ]);
});

test('links of pages and locations are below the prefix', async (t) => {
  const { url } = await startTestRegistry(t, { REGISTRY_HTTP_PREFIX: '/deep/registry/' });
  await converse(url, [
    {
      ...push('a', 'x', 'y'),
      send: push('a', 'x', 'y').send.replace('/v2/', '/deep/registry/v2/'),
      answer: { location: /^http:\/\/127\.0\.0\.1:\d+\/deep\/registry\/v2\/a\/manifests\/sha256:/ },
    },
    page(
      'GET /deep/registry/v2/a/tags/list?n=1',
      'tags',
      ['x'],
      '</deep/registry/v2/a/tags/list?last=x&n=1>; rel="next"',
    ),
    {
      send: 'POST /deep/registry/v2/a/blobs/uploads/',
      status: 202,
      answer: { location: /\/deep\/registry\/v2\/a\/blobs\/uploads\// },
    },
    { send: 'PATCH {location}', body: 'x', status: 202 },
    { send: 'GET /v2/', status: 404, code: 'UNSUPPORTED' },
    { send: 'GET /', status: 200, text: '' },
  ]);
});
