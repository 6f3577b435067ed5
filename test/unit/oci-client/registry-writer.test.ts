import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { RegistryClient } from '../../../src/oci-client/registry-client.ts';
import { mountBlob, putManifest } from '../../../src/oci-client/registry-writer.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { standInService, type PreparedAnswer, type ReceivedRequest } from '../../support/stand-in-service.ts';
import { connectHttp } from './connect-http.ts';

async function start(
  t: TestContext,
  answer: (request: ReceivedRequest) => PreparedAnswer | Promise<PreparedAnswer>,
) {
  const { url, received } = await standInService(t, answer);
  return { client: new RegistryClient(connectHttp(t, url)), received };
}

const blob = digestOf(Buffer.from('blob'));

test('a mount that is refused, or begun as an upload that cannot be given up, is no error', async (t) => {
  for (const status of [401, 403, 404]) {
    const { client, received } = await start(t, () => ({ status }));
    assert.equal(await mountBlob(client, 'to', 'from', blob), false);
    assert.equal(received.length, 1);
  }
  const { client, received } = await start(t, ({ method }) =>
    method === 'POST' ? { status: 202, headers: { location: '/upload' } } : { status: 401 },
  );
  assert.equal(await mountBlob(client, 'to', 'from', blob), false);
  assert.deepEqual(
    received.map(({ method }) => method),
    ['POST', 'DELETE'],
  );
});

test('referrers that come at once are all in the fallback tag of their subject', async (t) => {
  const manifests = new Map<string, string>();
  const { client } = await start(t, ({ method, path, body }) => {
    if (method === 'PUT') manifests.set(path, body);
    const found = manifests.get(path);
    if (method === 'PUT') return { status: 201 };
    return found === undefined
      ? { status: 404 }
      : { headers: { 'content-type': mediaTypes.ociIndex }, body: found };
  });
  const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(Buffer.from('subject')), size: 7 };
  const referrers = ['a', 'b', 'c'].map((name) => {
    const bytes = imageManifest({ digest: blob, size: 4 }, [], { subject, annotations: { name } });
    return { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes };
  });
  await Promise.all(referrers.map((referrer) => putManifest(client, 'app', referrer, undefined)));
  const listed = (await client.referrers('app', subject.digest)).map(({ digest }) => digest);
  assert.deepEqual(listed.toSorted(), referrers.map(({ digest }) => digest).toSorted());
});
