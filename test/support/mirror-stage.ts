import type { TestContext } from 'node:test';
import { faultyProxy, type FaultyProxy } from './faulty-proxy.ts';
import { startTestMirror, type TestMirror } from './test-mirror.ts';
import { startTestRegistry } from './test-registry.ts';

/** A mirror, and the registry that it mirrors as `upstream.test`, by default, through a proxy that can do wrong. */
export interface MirrorStage {
  readonly mirror: TestMirror;
  readonly upstream: FaultyProxy;
  /** The URL of the registry itself. */
  readonly registry: string;
}

export async function openMirrorStage(
  t: TestContext,
  options: {
    /** Of the upstream. */
    readonly upstream?: object;
    readonly cache?: object;
    /** Sections of the configuration of the mirror. */
    readonly sections?: Readonly<Record<string, object>>;
    readonly prepare?: (folder: string) => void;
  } = {},
): Promise<MirrorStage> {
  const { url: registry } = await startTestRegistry(t);
  const upstream = await faultyProxy(t, registry);
  const { prepare } = options;
  const sections = mirrorSections(upstream, options);
  const mirror = await startTestMirror(t, sections, prepare && { prepare });
  return { mirror, upstream, registry };
}

/** Of the configuration of a mirror of that upstream. */
export function mirrorSections(
  { url }: FaultyProxy,
  options: {
    readonly upstream?: object;
    readonly cache?: object;
    readonly sections?: Readonly<Record<string, object>>;
  } = {},
) {
  return {
    ...options.sections,
    stevedore: {
      status: { addr: '127.0.0.1:0' },
      ...options.sections?.['stevedore'],
      mirror: {
        upstreams: [{ host: 'upstream.test', url, ...options.upstream }],
        defaultupstream: 'upstream.test',
        ...(options.cache && { cache: options.cache }),
      },
    },
  };
}
