import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect as connectHttp2 } from 'node:http2';
import { text } from 'node:stream/consumers';
import { writePair, writeUsers } from '../../support/serve-process.ts';
import { createTestAuthority, type TestAuthority } from '../../support/test-authority.ts';
import { testCertificate, type TestCertificate } from '../../support/test-certificates.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

const serverAuthority: TestAuthority = await createTestAuthority();
const pair = await serverAuthority.issue();
const authority = testCertificate({ commonName: 'clients', authority: true });
const ann = testCertificate({ commonName: 'ann', issuer: authority });
const stranger = testCertificate({ commonName: 'ann' });
const expired = testCertificate({ commonName: 'ann', issuer: authority, validDays: -1 });

function start(
  t: TestContext,
  overrides: Readonly<Record<string, string>>,
  prepare: (folder: string) => void = () => {},
): Promise<TestRegistry> {
  return startTestRegistry(
    t,
    {
      REGISTRY_HTTP_TLS_CERTIFICATE: '{folder}/tls.crt',
      REGISTRY_HTTP_TLS_KEY: '{folder}/tls.key',
      REGISTRY_HTTP_TLS_CLIENTCAS_0: '{folder}/clients.crt',
      ...overrides,
    },
    (folder) => {
      writePair(folder, pair);
      writeFileSync(join(folder, 'clients.crt'), authority.pem);
      prepare(folder);
    },
  );
}

interface Client {
  readonly certificate?: TestCertificate | undefined;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The status and body of an answer on a connection of its own, or how the connection failed. */
async function ask(registry: TestRegistry, client: Client = {}): Promise<string> {
  const { certificate, path = '/v2/', method = 'GET', headers = {} } = client;
  const outgoing = httpsRequest(`${registry.url}${path}`, {
    ca: serverAuthority.certificate,
    agent: false,
    method,
    headers,
    ...(certificate && { cert: certificate.pem, key: certificate.keyPem }),
  });
  try {
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream & { statusCode: number }]; // an IncomingMessage
    return `${response.statusCode} ${await text(response)}`;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

const REFUSED = /^ERR_SSL_|^ECONNRESET$|^EPIPE$/;

/** Whether nobody, a client with a right certificate, one with a strange one and one with an old one are let in. */
const modes: Readonly<Record<string, readonly [boolean, boolean, boolean, boolean]>> = {
  'request-client-cert': [true, true, true, true],
  'require-any-client-cert': [false, true, true, true],
  'verify-client-cert-if-given': [true, true, false, false],
  'require-and-verify-client-cert': [false, true, false, false],
};

for (const [mode, expected] of Object.entries(modes)) {
  test(`clientauth ${mode} lets in whom it says`, async (t) => {
    const registry = await start(t, { REGISTRY_HTTP_TLS_CLIENTAUTH: mode });
    for (const [index, certificate] of [undefined, ann, stranger, expired].entries()) {
      const answer = await ask(registry, { certificate });
      if (expected[index]) assert.equal(answer, '200 {}', `${index}`);
      else assert.match(answer, REFUSED, `${index}`);
    }
  });
}

test('without clientauth a certificate is needed and verified', async (t) => {
  const registry = await start(t, {});
  assert.match(await ask(registry), REFUSED);
  assert.match(await ask(registry, { certificate: stranger }), REFUSED);
  assert.equal(await ask(registry, { certificate: ann }), '200 {}');
});

test('a verified subject is the user of the log, and a strange one is nobody', async (t) => {
  const registry = await start(t, { REGISTRY_HTTP_TLS_CLIENTAUTH: 'request-client-cert' });
  for (const certificate of [ann, stranger, undefined]) await ask(registry, { certificate });
  const lines = (): readonly (readonly [unknown, unknown])[] =>
    registry.records.filter(({ message }) => message === 'request').map(({ status, user }) => [status, user]);
  await waitFor(() => lines().length === 3);
  assert.deepEqual(lines(), [
    [200, 'ann'],
    [200, undefined],
    [200, undefined],
  ]);
});

const rules = 'access: [{repositories: [a], users: [ann], actions: [pull, push]}]';

test('access rules hold for the subject of a certificate, over HTTP/2 too', async (t) => {
  const registry = await start(
    t,
    {
      REGISTRY_HTTP_TLS_CLIENTAUTH: 'verify-client-cert-if-given',
      REGISTRY_STEVEDORE_AUTH_ACCESS: '{folder}/access.yml',
    },
    (folder) => writeFileSync(join(folder, 'access.yml'), rules),
  );
  const upload = (repository: string): Client => ({
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/`,
  });
  assert.match(await ask(registry, { certificate: ann, ...upload('a') }), /^202/);
  assert.match(await ask(registry, { certificate: ann, ...upload('b') }), /^403 .*DENIED/);
  assert.match(await ask(registry, upload('a')), /^403 .*DENIED/);
  const session = connectHttp2(registry.url, {
    ca: serverAuthority.certificate,
    cert: ann.pem,
    key: ann.keyPem,
  });
  const stream = session.request({ ':method': 'POST', ':path': '/v2/a/blobs/uploads/' }, { endStream: true });
  const [headers] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>]; // names and values
  assert.equal(headers[':status'], 202);
  session.destroy();
});

test('beside passwords a certificate counts only when that is wanted', async (t) => {
  const htpasswd = {
    REGISTRY_AUTH_HTPASSWD_REALM: 'r',
    REGISTRY_AUTH_HTPASSWD_PATH: '{folder}/htpasswd',
  };
  const prepare = (folder: string): void => writeUsers(folder, { bob: 'secret' });
  const strict = await start(t, htpasswd, prepare);
  const basic = { authorization: `Basic ${Buffer.from('bob:secret').toString('base64')}` };
  assert.match(await ask(strict, { certificate: ann }), /^401/);
  assert.equal(await ask(strict, { certificate: ann, headers: basic }), '200 {}');
  const open = await start(t, { ...htpasswd, REGISTRY_STEVEDORE_AUTH_CLIENTCERTIFICATES: 'true' }, prepare);
  assert.equal(await ask(open, { certificate: ann }), '200 {}');
});

test('authorities that change count for the next connection, and wrong ones leave those before', async (t) => {
  const registry = await start(t, {});
  const file = join(registry.folder, 'clients.crt');
  const later = testCertificate({ commonName: 'later', authority: true });
  const eve = testCertificate({ commonName: 'eve', issuer: later });
  assert.match(await ask(registry, { certificate: eve }), REFUSED);
  writeFileSync(file, `${authority.pem}\n${later.pem}`);
  await waitFor(async () => (await ask(registry, { certificate: eve })) === '200 {}');
  assert.equal(await ask(registry, { certificate: ann }), '200 {}');
  writeFileSync(file, 'nothing');
  await waitFor(() => registry.records.some(({ message }) => message === 'kept the old certificates'));
  assert.equal(await ask(registry, { certificate: ann }), '200 {}');
  writeFileSync(file, later.pem);
  await waitFor(async () => REFUSED.test(await ask(registry, { certificate: ann })));
  assert.equal(await ask(registry, { certificate: eve }), '200 {}');
});
