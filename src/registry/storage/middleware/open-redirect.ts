import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fetch } from 'undici';
import type { Config } from '../../../contract/config/config.ts';
import type { StorageMiddleware } from '../../../contract/config/middleware-section.ts';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import { createOutgoing } from '../../../process/outgoing.ts';
import type { StorageDriver } from '../driver.ts';
import { aliCdn } from './alicdn.ts';
import { AwsAddresses } from './aws-addresses.ts';
import { cloudFront, parseSigningKey } from './cloudfront.ts';
import { redirectTo, rewritten, type Redirect } from './redirect.ts';

interface Dependencies {
  readonly clock: Clock;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Where clients are sent for blobs, and what has to be stopped in the end. */
export interface OpenRedirect {
  readonly redirect: Redirect;
  stop(): Promise<void>;
}

/**
 * The driver's own redirects, changed by each item of `middleware.storage` in turn.
 * @throws Error when the key of `cloudfront` cannot be used.
 */
export async function openRedirect(
  config: Config,
  driver: StorageDriver,
  deps: Dependencies,
): Promise<OpenRedirect> {
  await using opened = new AsyncDisposableStack();
  let redirect: Redirect = async (path, { method }) => driver.redirectUrl?.(path, method);
  for (const item of config.middleware.storage) {
    if (item.disabled) continue;
    const { name, options } = item;
    redirect = await middleware[name]({ options, redirect, driver: driver.name, config, deps, opened });
  }
  const kept = opened.move();
  return { redirect, stop: () => kept.disposeAsync() };
}

interface Applied {
  readonly options: StorageMiddleware['options'];
  /** What comes before. */
  readonly redirect: Redirect;
  readonly driver: string;
  readonly config: Config;
  readonly deps: Dependencies;
  readonly opened: AsyncDisposableStack;
}

const middleware: Readonly<
  Record<StorageMiddleware['name'], (applied: Applied) => Redirect | Promise<Redirect>>
> = {
  redirect: ({ options }) => redirectTo(options.baseurl ?? ''),
  rewrite({ options: { scheme, host, trimpathprefix }, redirect }) {
    return rewritten(redirect, { scheme, host, trimPathPrefix: trimpathprefix });
  },
  async cloudfront(applied) {
    const { options, redirect, config, deps, opened } = applied;
    const { s3 } = config.storage;
    if (s3 === undefined) return withoutEffect('cloudfront', applied);
    const root = s3.rootdirectory.replaceAll(/^\/+|\/+$/g, '');
    const addresses = await openAddresses(options, deps);
    if (addresses) opened.defer(() => addresses.stop());
    return cloudFront(redirect, {
      baseUrl: options.baseurl ?? '',
      key: parseSigningKey(await readFile(options.privatekey ?? '', 'utf8')),
      keyPairId: options.keypairid ?? '',
      duration: options.duration,
      objectKey: (path) => `${root}${path}`.replace(/^\//, ''),
      goesToBucket: (address) => addresses?.has(address) ?? false,
      now: () => deps.clock.now(),
    });
  },
  alicdn(applied) {
    const { options, driver, deps } = applied;
    if (driver !== 'oss') return withoutEffect('alicdn', applied);
    return aliCdn({
      baseUrl: options.baseurl ?? '',
      authType: options.authtype ?? 'a',
      key: options.privatekey ?? '',
      duration: options.duration,
      now: () => deps.clock.now(),
      random: () => randomUUID().replaceAll('-', ''),
    });
  },
};

function withoutEffect(name: StorageMiddleware['name'], { deps, redirect }: Applied): Redirect {
  deps.log.warn(
    { middleware: name },
    'a storage middleware does not go with the storage driver and has no effect',
  );
  return redirect;
}

async function openAddresses(
  { ipfilteredby, awsregion, updatefrequency, iprangesurl }: StorageMiddleware['options'],
  { clock, log, environment }: Dependencies,
): Promise<AwsAddresses | undefined> {
  if (ipfilteredby === 'none') return undefined;
  const dispatcher = createOutgoing({ environment });
  return AwsAddresses.open({
    url: iprangesurl,
    updateFrequency: updatefrequency,
    regions:
      ipfilteredby === 'aws' ? [] : awsregion.flatMap((list) => list.split(',')).map((one) => one.trim()),
    async load(url) {
      const answer = await fetch(url, { dispatcher });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      return answer.text();
    },
    clock,
    log,
  });
}
