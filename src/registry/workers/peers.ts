import type { Lock } from '../../process/keyed-lock.ts';
import type { RecordedEvent } from '../notifications/event-recorder.ts';
import type { ServerFacts } from '../http/status-pages.ts';
import type { UploadPeers, UploadStore } from '../storage/upload-store.ts';
import type { Registry } from 'prom-client';
import type { PrimaryCalls, WorkerCalls, WorkerSettings } from './calls.ts';
import { Channel, type Port } from './channel.ts';
import { uploadIdOfWorker } from './upload-owners.ts';

/** What a worker has to do with the others, all of it through the primary. */
export interface Peers {
  /** Of this worker, 1 and up. */
  readonly worker: number;
  settings(): Promise<WorkerSettings>;
  readonly uploads: UploadPeers;
  /** For writes of tags. */
  readonly tagLock: Lock;
  /** Hands an event to the process that tells webhooks. */
  readonly take: (event: RecordedEvent) => void;
  /** Answers the primary from now on. */
  serve(parts: {
    readonly facts: ServerFacts;
    readonly metrics: Registry;
    readonly uploads: UploadStore;
    readonly address: string;
  }): Promise<void>;
}

/** @param stop is called when the primary wants this worker to end. */
export function connectPeers(worker: number, port: Port, stop: () => void): Peers {
  const parts = Promise.withResolvers<Parameters<Peers['serve']>[0]>();
  const channel = new Channel<WorkerCalls, PrimaryCalls>(port, {
    status: async () => (await parts.promise).facts.status(),
    health: async () => (await parts.promise).facts.health(),
    setInService: async (inService) => (await parts.promise).facts.setInService(inService),
    metrics: async () => (await parts.promise).metrics.getMetricsAsJSON(),
    handOver: async (folder) => (await parts.promise).uploads.handOver(folder),
    stop,
  });
  const claimed = new Set<string>();
  return {
    worker,
    settings: () => channel.call('settings'),
    uploads: {
      mark: (id) => uploadIdOfWorker(id, worker),
      ask(folder, id) {
        claimed.add(folder);
        return channel.call('claim', { folder, id });
      },
      leave(folder) {
        if (claimed.delete(folder)) ignoreEnd(channel.call('leave', folder));
      },
    },
    tagLock: {
      async run(key, action) {
        await channel.call('lock', key);
        try {
          return await action();
        } finally {
          ignoreEnd(channel.call('unlock', key));
        }
      },
    },
    take: (event) => ignoreEnd(channel.call('take', event)),
    async serve(own) {
      parts.resolve(own);
      await channel.call('started', own.address);
    },
  };
}

/** When the primary is no more, this process is about to end too. */
function ignoreEnd(call: Promise<unknown>): void {
  call.catch(() => {});
}
