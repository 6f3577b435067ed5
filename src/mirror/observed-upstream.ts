import type { Logger } from '../process/logger.ts';
import type { MirrorMetrics } from './mirror-metrics.ts';
import { UpstreamError, type Upstream, type UpstreamBlob } from './upstream.ts';

/** Counts what is asked of an upstream, and logs when it begins to fail and when that is over. */
export function observeUpstream(
  upstream: Upstream & { readonly status: { readonly lastError: string | undefined } },
  { metrics, log }: { readonly metrics: MirrorMetrics; readonly log: Logger },
): Upstream {
  const { host } = upstream;
  let failed = false;

  async function ask<T>(request: string, work: Promise<T>): Promise<T> {
    try {
      const result = await work;
      metrics.asked(host, request, 'ok');
      return result;
    } catch (error) {
      if (error instanceof UpstreamError) metrics.asked(host, request, error.kind);
      throw error;
    } finally {
      tell();
    }
  }

  function tell(): void {
    const reason = upstream.status.lastError;
    const fails = reason !== undefined;
    if (fails && !failed) log.warn({ upstream: host, reason }, 'an upstream fails');
    if (!fails && failed) log.info({ upstream: host }, 'an upstream is well again');
    failed = fails;
  }

  async function* counted(body: UpstreamBlob['body']): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      metrics.received(host, chunk.length);
      yield chunk;
    }
  }

  return {
    host,
    resolve: (repository, tag, signal) => ask('tag', upstream.resolve(repository, tag, signal)),
    manifest: (repository, digest, signal) => ask('manifest', upstream.manifest(repository, digest, signal)),
    async blob(repository, digest, options) {
      const blob = await ask('blob', upstream.blob(repository, digest, options));
      return { ...blob, body: counted(blob.body) };
    },
    tags: (repository, query, signal) => ask('tags', upstream.tags(repository, query, signal)),
    referrers: (repository, digest, query, signal) =>
      ask('referrers', upstream.referrers(repository, digest, query, signal)),
  };
}
