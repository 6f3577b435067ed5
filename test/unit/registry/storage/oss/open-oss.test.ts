import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { parseConfig } from '../../../../../src/contract/config/config.ts';
import type { OssOptions } from '../../../../../src/contract/config/oss-section.ts';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { OssAddress } from '../../../../../src/registry/storage/oss/oss-address.ts';
import { openOss } from '../../../../../src/registry/storage/oss/open-oss.ts';
import {
  sleeplessClock,
  standInService,
  type ReceivedRequest,
  type StandInService,
} from '../../../../support/stand-in-service.ts';

const bucket = { accesskeyid: 'id', accesskeysecret: 'secret', region: 'cn-beijing', bucket: 'images' };

/** Options of `storage.oss` as a configuration gives them. */
function optionsOf(oss: object): OssOptions {
  const { config, errors } = parseConfig(
    JSON.stringify({ version: 0.1, http: { addr: ':0' }, storage: { oss: { ...bucket, ...oss } } }),
  );
  assert.deepEqual(errors, []);
  assert.ok(config?.storage.oss);
  return config.storage.oss;
}

const list = '<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>';

/** The driver on a stand-in, which is reached as an endpoint without TLS. */
async function open(
  t: TestContext,
  changes: object = {},
): Promise<{
  readonly driver: StorageDriver;
  readonly oss: StandInService;
  readonly puts: () => ReceivedRequest[];
}> {
  const oss = await standInService(t, ({ method }) => {
    if (method === 'POST') {
      return {
        body: '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>',
      };
    }
    return method === 'PUT' ? { headers: { etag: '"e"' } } : { body: list };
  });
  const options = optionsOf({ endpoint: new URL(oss.url).host, secure: false, ...changes });
  const driver = await openOss(options, { clock: sleeplessClock(), environment: {} });
  return { driver, oss, puts: () => oss.received.filter(({ method }) => method === 'PUT') };
}

test('requests go to the endpoint, signed for region and bucket with the key', async (t) => {
  const { oss } = await open(t);
  assert.match(
    oss.received[0]?.headers.authorization ?? '',
    /^OSS4-HMAC-SHA256 Credential=id\/\d{8}\/cn-beijing\//,
  );
});

test('without an endpoint the bucket is at its region, in there or outside, with TLS or without', () => {
  const urlOf = (oss: object): string => {
    const options = optionsOf(oss);
    return new OssAddress({ ...options, region: `oss-${options.region}` }).url('x').href;
  };
  assert.equal(urlOf({}), 'https://images.oss-cn-beijing.aliyuncs.com/x');
  assert.equal(urlOf({ internal: true }), 'https://images.oss-cn-beijing-internal.aliyuncs.com/x');
  assert.equal(urlOf({ secure: false }), 'http://images.oss-cn-beijing.aliyuncs.com/x');
  assert.equal(urlOf({ region: 'us-west-1' }), 'https://images.oss-us-west-1.aliyuncs.com/x');
});

test('objects are under the root directory, and encrypted where that is configured', async (t) => {
  const plain = await open(t, { rootdirectory: '/root/' });
  await plain.driver.putContent('/a', Buffer.from('x'));
  assert.equal(plain.puts()[0]?.path, '/root/a');
  assert.equal(plain.puts()[0]?.headers['x-oss-server-side-encryption'], undefined);
  const encrypted = await open(t, { encrypt: true });
  await encrypted.driver.putContent('/a', Buffer.from('x'));
  assert.equal(encrypted.puts()[0]?.headers['x-oss-server-side-encryption'], 'AES256');
});

test('an upload is sent in parts of chunksize', async (t) => {
  const MIB = 1024 * 1024;
  const { driver, puts } = await open(t, { chunksize: 6 * MIB });
  const writer = await driver.writer('/data', { append: false });
  for (let part = 0; part < 12; part++) await writer.write(Buffer.alloc(MIB));
  await writer.close();
  assert.deepEqual(
    puts().map(({ headers }) => headers['content-length']),
    [String(6 * MIB), String(6 * MIB)],
  );
});
