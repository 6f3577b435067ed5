import { Counter, Gauge, type Registry } from 'prom-client';
import type { CacheOutcome } from '../registry/http/exchange.ts';
import type { CacheFacts } from './cache/mirror-cache.ts';
import type { UpstreamError, UpstreamErrorKind } from './upstream.ts';

export type AnswerType = 'manifest' | 'blob' | 'list';

/** Counts what a mirror answers and what it asks. */
export interface MirrorMetrics {
  answered(answer: {
    readonly host: string;
    readonly type: AnswerType;
    readonly outcome: CacheOutcome;
    readonly bytes: number;
    readonly staleBecause: UpstreamError | undefined;
  }): void;
  /** What became of a request to an upstream. */
  asked(host: string, method: string, result: 'ok' | UpstreamErrorKind): void;
  /** Bytes that an upstream sent. */
  received(host: string, bytes: number): void;
}

/** @param facts are looked up when Prometheus asks. */
export function createMirrorMetrics(
  registry: Registry,
  facts: {
    readonly cache: () => CacheFacts;
    readonly upstreams: () => readonly {
      readonly host: string;
      readonly rateLimitRemaining: number | undefined;
    }[];
  },
): MirrorMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name, help, labelNames, registers });
  const answers = counter('stevedore_mirror_requests_total', 'Answers by where they came from.', [
    'upstream',
    'type',
    'cache',
  ]);
  const bytes = counter('stevedore_mirror_bytes_total', 'Bytes of the bodies of these answers.', [
    'upstream',
    'type',
    'cache',
  ]);
  const stale = counter('stevedore_mirror_stale_total', 'Answers that may not be true any more, by reason.', [
    'upstream',
    'reason',
  ]);
  const asked = counter('stevedore_mirror_upstream_requests_total', 'Requests to upstreams by result.', [
    'upstream',
    'request',
    'result',
  ]);
  const received = counter('stevedore_mirror_upstream_bytes_total', 'Bytes of blobs from upstreams.', [
    'upstream',
  ]);
  for (const [name, help, read] of states) {
    const collect = function (this: Gauge): void {
      const value = read(facts.cache());
      if (value !== undefined) this.set(value);
    };
    registry.registerMetric(new Gauge({ name, help, registers: [], collect }));
  }
  for (const [name, help, read] of sums) {
    const collect = function (this: Counter): void {
      this.reset();
      this.inc(read(facts.cache()));
    };
    registry.registerMetric(new Counter({ name, help, registers: [], collect }));
  }
  registry.registerMetric(
    new Gauge({
      name: 'stevedore_mirror_ratelimit_remaining',
      help: 'Manifests that an upstream will still give until its limit is renewed, where it tells.',
      labelNames: ['upstream'],
      registers: [],
      collect() {
        for (const { host: upstream, rateLimitRemaining } of facts.upstreams()) {
          if (rateLimitRemaining !== undefined) this.set({ upstream }, rateLimitRemaining);
        }
      },
    }),
  );
  return {
    answered({ host: upstream, type, outcome: cache, bytes: sent, staleBecause }) {
      answers.inc({ upstream, type, cache });
      bytes.inc({ upstream, type, cache }, sent);
      if (staleBecause !== undefined) stale.inc({ upstream, reason: staleBecause.kind });
    },
    asked: (upstream, request, result) => asked.inc({ upstream, request, result }),
    received: (upstream, count) => received.inc({ upstream }, count),
  };
}

type CacheMetric<T> = readonly [name: string, help: string, read: (facts: CacheFacts) => T];

const states: readonly CacheMetric<number | undefined>[] = [
  ['stevedore_mirror_cache_bytes', 'Bytes of content that is kept or being fetched.', ({ bytes }) => bytes],
  [
    'stevedore_mirror_cache_limit_bytes',
    'Bytes that it may be, where that is limited.',
    ({ limit }) => limit,
  ],
  ['stevedore_mirror_cache_manifests', 'Manifests that are kept.', ({ manifests }) => manifests],
  ['stevedore_mirror_cache_blobs', 'Blobs that are kept.', ({ blobs }) => blobs],
  ['stevedore_mirror_fetches', 'Blobs that are being fetched.', ({ fills }) => fills],
  [
    'stevedore_mirror_followers',
    'Clients that read a blob while it is fetched.',
    ({ followers }) => followers,
  ],
];

const sums: readonly CacheMetric<number>[] = [
  ['stevedore_mirror_evicted_images_total', 'Images that went.', ({ evictedImages }) => evictedImages],
  ['stevedore_mirror_evicted_bytes_total', 'Bytes that went with them.', ({ evictedBytes }) => evictedBytes],
];
