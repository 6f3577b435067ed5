import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../../../src/oci/digest.ts';
import { mediaTypes } from '../../../../src/oci/media-type.ts';
import { envelope, eventLine, type EventContext } from '../../../../src/registry/notifications/event.ts';
import { references } from '../../../../src/registry/notifications/references.ts';
import { repositoryName } from '../../../support/store-fixture.ts';

const repository = repositoryName('team/app');
const digest = digestOf(Buffer.from('content'));

const context: EventContext = {
  id: 'an-id',
  time: Date.UTC(2026, 0, 2, 3, 4, 5, 120),
  url: 'http://registry/v2/team/app/blobs/x?a=1&b=<2>',
  includeReferences: true,
  request: { id: 'request', addr: '10.0.0.1:4711', host: 'registry', method: 'PUT', useragent: '' },
  user: undefined,
  source: { addr: 'host:5000', instanceID: 'instance' },
};

test('an envelope is what Go makes of it: order, indentation, omitted fields, escapes, time', () => {
  const line = eventLine({ action: 'push', repository, blob: { digest, size: 7 } }, context);
  assert.equal(
    envelope(line),
    String.raw`{
   "events": [
      {
         "id": "an-id",
         "timestamp": "2026-01-02T03:04:05.12Z",
         "action": "push",
         "target": {
            "mediaType": "application/octet-stream",
            "digest": "${digest}",
            "size": 7,
            "length": 7,
            "repository": "team/app",
            "url": "http://registry/v2/team/app/blobs/x?a=1\u0026b=\u003c2\u003e"
         },
         "request": {
            "id": "request",
            "addr": "10.0.0.1:4711",
            "host": "registry",
            "method": "PUT",
            "useragent": ""
         },
         "actor": {},
         "source": {
            "addr": "host:5000",
            "instanceID": "instance"
         }
      }
   ]
}`,
  );
});

test('a delete has empty fields for what it does not know, as distribution 3 writes them', () => {
  const line = eventLine({ action: 'delete', repository, tag: 'v1' }, { ...context, url: undefined });
  const { target, actor } = JSON.parse(line) as Record<string, object>; // what was just written
  assert.equal(
    JSON.stringify(target),
    '{"mediaType":"","digest":"","size":0,"repository":"team/app","tag":"v1"}',
  );
  assert.deepEqual(actor, {});
});

test('a second that is whole has no fraction', () => {
  const line = eventLine(
    { action: 'delete', repository, digest },
    { ...context, time: Date.UTC(2026, 0, 2, 3, 4, 10) },
  );
  assert.match(line, /"timestamp":"2026-01-02T03:04:10Z"/);
});

test('references are descriptors with what Go knows of them, in its order', () => {
  const child = {
    artifactType: 'application/x',
    platform: { os: 'linux', variant: 'v8', architecture: 'arm64', unknown: 1 },
    annotations: { b: '2', a: '1' },
    size: 3,
    digest,
    mediaType: mediaTypes.ociManifest,
    other: true,
  };
  assert.equal(
    JSON.stringify(references(Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [child] })))),
    `[{"mediaType":"${mediaTypes.ociManifest}","digest":"${digest}","size":3,"annotations":{"a":"1","b":"2"},` +
      `"platform":{"architecture":"arm64","os":"linux","variant":"v8"},"artifactType":"application/x"}]`,
  );
  const image = {
    config: { mediaType: 'c', digest, size: 1 },
    layers: [{ mediaType: 'l', digest, size: 2 }],
  };
  const listed = references(Buffer.from(JSON.stringify(image)));
  assert.deepEqual(
    listed.map(({ mediaType }) => mediaType),
    ['c', 'l'],
  );
});

test('references are left out unless asked for', () => {
  const bytes = Buffer.from(JSON.stringify({ config: { mediaType: 'c', digest, size: 1 } }));
  const manifest = { digest, mediaType: mediaTypes.ociManifest, bytes };
  const happening = { action: 'pull', repository, manifest, tag: 'v1' } as const;
  assert.match(eventLine(happening, context), /"tag":"v1","references":\[/);
  assert.doesNotMatch(eventLine(happening, { ...context, includeReferences: false }), /references/);
});
