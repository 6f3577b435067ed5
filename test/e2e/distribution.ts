import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { script } from './cluster.ts';
import { killProcess } from './collector-process.ts';
import { succeed } from './command.ts';
import { HttpRegistry } from './http-registry.ts';

/** A version of docker distribution. */
export interface Distribution {
  readonly title: string;
  /** The path of its program. */
  program(): Promise<string>;
}

export const distributions: readonly Distribution[] = [
  { title: "Debian's docker-registry 2.8", program: async () => 'docker-registry' },
  {
    title: 'distribution 3.1',
    program: async () => (await script('tools', ['distribution'])).trim(),
  },
];

export interface DistributionPlace {
  /** Where its configuration is written. */
  readonly config: string;
  /** `rootdirectory`. */
  readonly storage: string;
  /** Goes into the configuration. */
  readonly settings?: object;
  /** `storage.cache`. */
  readonly cache?: object;
  /** Variables beside our own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Who runs it, and where; as we do unless said. */
  readonly process?: { readonly uid: number; readonly gid: number; readonly cwd: string };
}

// Distribution 2.8 with S3 does not start with a CA bundle for Amazon's libraries.
const { AWS_CA_BUNDLE: _bundle, ...inherited } = process.env;
const environment = { ...inherited, OTEL_TRACES_EXPORTER: 'none' };

/** Starts it on a free port of the loopback address, with deletes on; it ends with the test. */
export async function serveWithDistribution(
  t: TestContext,
  distribution: Distribution,
  place: DistributionPlace,
): Promise<HttpRegistry> {
  writeConfig(place);
  const child = spawn(await distribution.program(), ['serve', place.config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...environment, ...place.environment },
    ...place.process,
  });
  t.after(() => killProcess(child));
  const lines: string[] = [];
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      const found = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(lines.join('\n'))));
  });
  return new HttpRegistry(`http://${address}`);
}

/** Its garbage collection; returns what it printed. Throws when it fails. */
export async function collectWithDistribution(
  distribution: Distribution,
  place: DistributionPlace,
  options: readonly string[] = [],
): Promise<string> {
  writeConfig(place);
  const program = await distribution.program();
  return succeed(program, ['garbage-collect', ...options, place.config], {
    environment: { OTEL_TRACES_EXPORTER: 'none' },
  });
}

function writeConfig({ config, storage, settings: more, cache }: DistributionPlace): void {
  const settings = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true }, ...(cache && { cache }) },
    http: { addr: '127.0.0.1:0' },
    ...more,
  };
  writeFileSync(config, JSON.stringify(settings)); // which YAML takes in
}
