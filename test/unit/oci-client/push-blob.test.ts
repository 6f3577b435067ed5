import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { pushBlob } from '../../../src/oci-client/push-blob.ts';
import { standInService } from '../../support/stand-in-service.ts';
import { connectHttp } from './connect-http.ts';

const bytes = Buffer.from('{"os":"linux"}');
const content = {
  digest: digestOf(bytes),
  size: bytes.length,
  open: async function* () {
    yield bytes;
  },
};

test('a small blob that broke off begins anew: a part of it may have been kept', async (t) => {
  let uploads = 0;
  const kept = new Map<string, string>();
  const { url } = await standInService(t, ({ method, path, body }) => {
    const [upload = ''] = path.split('?');
    if (method === 'POST') return { status: 202, headers: { location: `/upload/${++uploads}` } };
    if (method === 'GET')
      return { status: 204, headers: { range: `0-${(kept.get(upload) ?? '').length - 1}` } };
    if (uploads === 1 && !kept.has(upload)) {
      kept.set(upload, body.slice(0, 5));
      return 'cut';
    }
    kept.set(upload, `${kept.get(upload) ?? ''}${body}`);
    return { status: kept.get(upload) === bytes.toString() ? 201 : 400 };
  });
  await pushBlob(connectHttp(t, url, 2), 'app', content, () => undefined);
  assert.equal(kept.get(`/upload/${uploads}`), bytes.toString());
});
