import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { formatPlace, parsePlace } from '../../../src/copy/place.ts';

const digest = digestOf(Buffer.from('content'));

test('places are read as their users write them', () => {
  const registry = { kind: 'registry', repository: undefined, tag: undefined, digest: undefined };
  const cases: readonly (readonly [string, object])[] = [
    [
      'registry.example.com/team/app:v1',
      { ...registry, host: 'registry.example.com', repository: 'team/app', tag: 'v1' },
    ],
    ['localhost:5000/app', { ...registry, host: 'localhost:5000', repository: 'app' }],
    [`host:5000/app@${digest}`, { ...registry, host: 'host:5000', repository: 'app', digest }],
    [
      `host.example/app:v1@${digest}`,
      { ...registry, host: 'host.example', repository: 'app', tag: 'v1', digest },
    ],
    ['[::1]:5000/app:v1', { ...registry, host: '[::1]:5000', repository: 'app', tag: 'v1' }],
    ['docker://registry/team/app', { ...registry, host: 'registry', repository: 'team/app' }],
    [
      'http://registry/app:v1',
      { ...registry, scheme: 'http', host: 'registry', repository: 'app', tag: 'v1' },
    ],
    ['https://registry:5000/', { ...registry, scheme: 'https', host: 'registry:5000' }],
    ['registry.example.com', { ...registry, host: 'registry.example.com' }],
    ['127.0.0.1:5000', { ...registry, host: '127.0.0.1:5000' }],
    ['alpine:3', { ...registry, host: 'docker.io', repository: 'library/alpine', tag: '3' }],
    ['team/app', { ...registry, host: 'docker.io', repository: 'team/app' }],
    ['docker.io/alpine', { ...registry, host: 'docker.io', repository: 'library/alpine' }],
    ['oci:some/folder', { kind: 'layout', folder: 'some/folder', name: undefined }],
    ['oci:/folder:v1', { kind: 'layout', folder: '/folder', name: 'v1' }],
    ['oci:/folder:team/app:v1', { kind: 'layout', folder: '/folder', name: 'team/app:v1' }],
    ['docker-archive:/a.tar', { kind: 'archive', file: '/a.tar', name: undefined }],
    ['docker-archive:a.tar:team/app:v1', { kind: 'archive', file: 'a.tar', name: 'team/app:v1' }],
  ];
  for (const [text, place] of cases) assert.deepEqual(parsePlace(text), place, text);
});

test('what is no place is refused', () => {
  for (const text of [
    '',
    'oci:',
    'docker-archive:',
    'host.example/App',
    'host.example/app:',
    'host.example/app@sha256:1',
    'ho st/app',
    'a..b/app',
  ]) {
    assert.equal(parsePlace(text), undefined, text);
  }
});

test('a place is told as it would be written', () => {
  for (const text of [
    'host.example/app:v1',
    `host:5000/a/b@${digest}`,
    'host.example',
    'oci:/x:v1',
    'docker-archive:/x',
  ]) {
    const place = parsePlace(text);
    assert.equal(place && formatPlace(place), text);
  }
});
