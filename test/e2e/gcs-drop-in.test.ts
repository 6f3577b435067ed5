import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { startServe } from '../support/serve-process.ts';
import { standInService } from '../support/stand-in-service.ts';
import { distributions, serveWithDistribution, type Distribution } from './distribution.ts';
import { HttpRegistry } from './http-registry.ts';
import { testRandom } from './seeded-random.ts';
import { startFakeGcs } from './support/fake-gcs.ts';
import { startGoogleProxy } from './support/google-proxy.ts';
import { UPLOAD_SECRET, testSharedStore, type SharedStore } from './support/shared-store.ts';

const gcs = await startFakeGcs();
const proxy = await startGoogleProxy(gcs.url);
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await gcs[Symbol.asyncDispose]();
});

/** A bucket that ours and distribution's server serve at the same time. */
async function share(t: TestContext, distribution: Distribution): Promise<SharedStore> {
  const folder = mkdtempSync(join(tmpdir(), 'gcs-drop-in-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = join(folder, 'ca.pem');
  writeFileSync(authority, proxy.certificate);
  const tokens = await standInService(t, () => ({
    headers: { 'content-type': 'application/json' },
    body: { access_token: 'token', token_type: 'Bearer', expires_in: 3600 },
  }));
  const credentials = join(folder, 'credentials.json');
  writeFileSync(credentials, serviceAccount(`${tokens.url}/token`));
  const storage = {
    gcs: { bucket: await gcs.newBucket(), rootdirectory: '/some/root', chunksize: 1024 * 1024 },
    delete: { enabled: true },
    redirect: { disable: true },
  };
  const environment = { STORAGE_EMULATOR_HOST: new URL(gcs.url).host, HTTPS_PROXY: proxy.url };
  const { url } = await startServe(t, {
    folder,
    storage: { filesystem: undefined, ...storage },
    environment: { ...environment, NODE_EXTRA_CA_CERTS: authority },
  });
  const theirs = await serveWithDistribution(t, distribution, {
    config: join(folder, 'theirs.yml'),
    storage: folder,
    settings: { storage, http: { addr: '127.0.0.1:0', secret: UPLOAD_SECRET } },
    environment: {
      ...environment,
      SSL_CERT_FILE: authority,
      GOOGLE_APPLICATION_CREDENTIALS: credentials,
    },
  });
  return { ours: new HttpRegistry(url), theirs, folder, random: testRandom(t) };
}

function serviceAccount(tokenUri: string): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return JSON.stringify({
    type: 'service_account',
    client_email: 'registry@example.com',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token_uri: tokenUri,
  });
}

// Debian builds version 2.8 without this driver.
for (const distribution of distributions.slice(1)) {
  testSharedStore(`${distribution.title} on fake-gcs-server`, (t) => share(t, distribution));
}
