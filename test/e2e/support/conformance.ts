import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startServe } from '../../support/serve-process.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { run } from '../command.ts';
import { createBucket } from '../s3-bucket.ts';
import { swiftContainer } from '../swift-container.ts';

const root = join(import.meta.dirname, '../../..');

interface TestCase {
  readonly name: string;
  readonly status: string;
}

/** Where the registry under test keeps its content. */
interface ConformancePlace {
  /** Goes into the section of that name. */
  readonly storage: object;
  /** For the program. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Stores that nobody has used. */
const conformancePlaces = {
  'a file system': async () => ({ storage: {}, environment: {} }),
  'S3 with redirects': async () => ({
    storage: { filesystem: undefined, s3: (await createBucket()).config },
    // A bucket that clients are sent to knows no digests.
    environment: { OCI_API_BLOBS_DIGEST_HEADER: 'false' },
  }),
  'S3 without redirects': async () => ({
    storage: { filesystem: undefined, s3: (await createBucket()).config, redirect: { disable: true } },
    environment: {},
  }),
  Swift: async () => ({
    storage: { filesystem: undefined, swift: await swiftContainer() },
    environment: {},
  }),
  'Swift with redirects': async () => ({
    storage: { filesystem: undefined, swift: { ...(await swiftContainer()), tempurlmethods: ['GET'] } },
    environment: { OCI_API_BLOBS_DIGEST_HEADER: 'false' },
  }),
} as const satisfies Readonly<Record<string, () => Promise<ConformancePlace>>>;

/** For servers that the program runs against: it pushes an image whose layers are elsewhere. */
export const conformanceOverrides = {
  REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW: String.raw`['^https://store\.example\.com/']`,
};

/** A test that runs the OCI conformance program of a version against a server of its own, over TLS and as a user. */
export function testConformance(
  version: '1.1' | 'dev',
  place: keyof typeof conformancePlaces,
  workers = 1,
): void {
  const title = `the OCI conformance program, version ${version}, passes over TLS as a user, on ${place}, with ${workers} workers`;
  test(title, { timeout: 600_000 }, async (t) => {
    const { storage, environment } = await conformancePlaces[place]();
    const folder = mkdtempSync(join(tmpdir(), 'authority-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const tls = await createTestAuthority();
    writeFileSync(join(folder, 'ca.crt'), tls.certificate);
    const users = { tester: 'secret' };
    const overrides = { ...conformanceOverrides, REGISTRY_STEVEDORE_WORKERS: String(workers) };
    const server = await startServe(t, { tls, users, storage, environment: overrides });
    await assertConformance(t, version, {
      SSL_CERT_FILE: join(folder, 'ca.crt'),
      OCI_REGISTRY: server.address,
      OCI_USERNAME: 'tester',
      OCI_PASSWORD: 'secret',
      ...environment,
    });
  });
}

/**
 * Runs the OCI conformance program: every test passes but those that are documented as skipped.
 * @param environment tells the program of the registry.
 */
export async function assertConformance(
  t: TestContext,
  version: '1.1' | 'dev',
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const cases = await runProgram(t, version, environment);
  assert.ok(cases.length > 600, `only ${cases.length} tests were reported`);
  const others = cases.filter(({ status }) => status !== 'passed' && status !== 'skipped');
  assert.deepEqual(others, []);
  const skipped = new Set(cases.filter(({ status }) => status === 'skipped').map(({ name }) => name));
  assert.deepEqual([...skipped].toSorted(), documentedSkips());
}

async function runProgram(
  t: TestContext,
  version: string,
  environment: Readonly<Record<string, string>>,
): Promise<readonly TestCase[]> {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const results = join(folder, 'results');
  mkdirSync(results);
  const program = execFileSync(join(root, 'scripts/tools'), ['conformance'], { encoding: 'utf8' }).trim();
  const outcome = await run(program, [], {
    folder,
    timeout: 300_000,
    environment: {
      OCI_VERSION: version,
      OCI_RESULTS_DIR: results,
      // Of the version in the making, and asked for in both runs because we have them.
      OCI_API_BLOBS_DIGEST_HEADER: 'true',
      OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
      OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
      OCI_API_MANIFESTS_TAG_PARAM: 'true',
      ...environment,
    },
  });
  // A setup that failed exits with 0 and leaves no results, so the results are what counts.
  const junit = readFileSync(join(results, 'junit.xml'), 'utf8');
  const cases = [...junit.matchAll(/<testcase name="([^"]*)"[^>]* status="([^"]*)"/g)].map(
    ([, name = '', status = '']) => ({ name: name.replace('OCI Conformance Test/', ''), status }),
  );
  assert.equal(outcome.code, 0, `${outcome.stdout.slice(-3000)}${outcome.stderr.slice(-1000)}`);
  return cases;
}

/** The tests that docs/reference/conformance.md says are skipped. */
function documentedSkips(): readonly string[] {
  const page = readFileSync(join(root, 'docs/reference/conformance.md'), 'utf8');
  return [...page.matchAll(/^\| `([^`]+)` *\|/gm)].map(([, name = '']) => name).toSorted();
}
