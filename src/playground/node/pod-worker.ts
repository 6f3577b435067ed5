import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isConflict, isNotFound } from '../../kube/api-error.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { Stored } from '../../kube/object.ts';
import { pods, type Pod } from '../../kube/resources.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { timeText } from '../controllers/write-status.ts';
import type { Program } from './container-process.ts';
import { ContainerRunner, type PodContext } from './container-runner.ts';
import type { Container } from './environment.ts';
import {
  isOver,
  podStatus,
  type ContainerRecord,
  type ContainerState,
  type PodStatus,
} from './pod-status.ts';
import { isProjected, makeVolume, type VolumeObjects } from './volumes.ts';

/** What all pods of a node share. */
export interface PodTools {
  readonly client: Pick<KubeClient, 'patch' | 'delete'>;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly program: Program;
  /** The image that `program` stands for. Others cannot be pulled. */
  readonly image: string;
  /** Has a folder for each pod and each volume of a claim. */
  readonly folder: string;
  readonly hostIP: string;
  objects(namespace: string): VolumeObjects;
}

const VOLUME_RETRY_MS = 5_000;
/** After a request that failed. */
const RETRY_MS = 1_000;

/** Runs one pod: from its volumes to the end of its processes, telling the API server how it goes. */
export class PodWorker {
  readonly address: string;
  /** Resolves when its processes have ended and its object is gone or will be told of no more. */
  readonly finished: Promise<void>;
  readonly #tools: PodTools;
  readonly #folder: string;
  readonly #runners: readonly ContainerRunner[];
  readonly #startTime: string;
  /** Aborted when nothing is to be started any more. */
  readonly #ending = new AbortController();
  /** Aborted when there is no grace left. */
  readonly #killing = new AbortController();
  /** Resolves when the object is to go, or is gone. */
  readonly #deleted = Promise.withResolvers<void>();
  #wake = new AbortController();
  #pod: Stored<Pod>;
  #volumes: ReadonlyMap<string, string> | undefined;
  #updating: Promise<void> = Promise.resolve();
  #isGone = false;
  #graceMs = 0;
  #told: PodStatus | undefined;
  #telling: Promise<void> | undefined;
  #hasNews = false;

  constructor(tools: PodTools, pod: Stored<Pod>, address: string) {
    this.#tools = tools;
    this.#pod = pod;
    this.address = address;
    this.#folder = podFolder(tools.folder, pod.metadata.uid);
    this.#startTime = pod.status?.startTime ?? this.#time();
    const context = this.#context();
    this.#runners = (pod.spec?.containers ?? []).map(
      (container) => new ContainerRunner(context, recordOf(pod, container, this.#time())),
    );
    this.update(pod);
    this.finished = this.#run();
  }

  /** A newer state of its object. */
  update(pod: Stored<Pod>): void {
    const isSame = isDeepStrictEqual(pod.spec, this.#pod.spec);
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#end((pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000);
      this.#deleted.resolve();
    }
    // Most updates are the status that this worker has written.
    if (!isSame) this.refresh();
  }

  /** Something that it refers to has changed. */
  refresh(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
    // One after another, so that what was read last is written last.
    this.#updating = this.#updating.then(() => this.#updateVolumes());
  }

  /** Its object is gone: nobody waits for a grace period. */
  abandon(): void {
    this.#isGone = true;
    this.#end(0);
    this.#killing.abort();
    this.#deleted.resolve();
  }

  /** The node ends: the processes do, within `graceMs`, and the object stays as it is, for the next start. */
  async stop(graceMs: number): Promise<void> {
    this.#isGone = true;
    this.#end(graceMs);
    this.#deleted.resolve();
    await this.finished;
  }

  /** The file of a container's log, and the log itself while its run goes on; undefined when there is no such container. */
  log(name: string, previous: boolean): ReturnType<ContainerRunner['log']> | undefined {
    return this.#runners.find(({ record }) => record.name === name)?.log(previous);
  }

  #context(): PodContext {
    return {
      tools: this.#tools,
      address: this.address,
      folder: this.#folder,
      pod: () => this.#pod,
      volumes: () => this.#volumes ?? new Map<string, string>(),
      ending: this.#ending.signal,
      killing: this.#killing.signal,
      grace: () => ({ milliseconds: this.#graceMs, withPreStop: !this.#isGone }),
      tell: () => this.#tell(),
      event: (...details) => this.#event(...details),
      pause: (milliseconds) => this.#pause(milliseconds),
    };
  }

  async #run(): Promise<void> {
    const { log } = this.#tools;
    try {
      if (!isOver(this.#pod.status?.phase)) await this.#runContainers();
      await this.#deleted.promise;
      await this.#telling;
      await this.#deleteObject();
    } catch (error) {
      log.error({ error, pod: this.#pod.metadata.name }, 'pod worker failed');
    }
  }

  async #runContainers(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    this.#tell();
    await this.#prepareVolumes();
    await Promise.all(this.#runners.map((runner) => runner.run()));
    this.#ending.abort();
    this.#tell();
    await this.#telling;
  }

  #end(graceMs: number): void {
    this.#graceMs = graceMs;
    this.#ending.abort();
  }

  async #prepareVolumes(): Promise<void> {
    let problem = '';
    while (!this.#ending.signal.aborted) {
      try {
        this.#volumes = await this.#makeVolumes(() => true);
        return;
      } catch (error) {
        const text = messageOf(error);
        if (text !== problem) this.#event('Warning', 'FailedMount', 'Mounting', text);
        problem = text;
        await this.#pause(VOLUME_RETRY_MS);
      }
    }
  }

  async #updateVolumes(): Promise<void> {
    if (this.#volumes === undefined || this.#ending.signal.aborted) return;
    try {
      await this.#makeVolumes(isProjected);
    } catch (error) {
      // As with a kubelet, the files stay as they are when their object goes.
      this.#tools.log.debug({ error, pod: this.#pod.metadata.name }, 'volumes not updated');
    }
  }

  async #makeVolumes(
    which: (volume: Parameters<typeof makeVolume>[0]) => boolean,
  ): Promise<Map<string, string>> {
    const folders = { pod: join(this.#folder, 'volumes'), claims: claimsFolder(this.#tools.folder) };
    const objects = this.#tools.objects(this.#pod.metadata.namespace ?? '');
    const made = new Map<string, string>();
    for (const volume of (this.#pod.spec?.volumes ?? []).filter(which)) {
      try {
        made.set(volume.name, await makeVolume(volume, folders, objects));
      } catch (error) {
        throw new Error(`MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`, {
          cause: error,
        });
      }
    }
    return made;
  }

  /** Until the time is over, or something has changed. */
  async #pause(milliseconds: number): Promise<void> {
    const signal = AbortSignal.any([this.#ending.signal, this.#wake.signal]);
    await this.#tools.clock.sleep(milliseconds, signal).catch(() => undefined);
  }

  /** Writes the status soon; what changes meanwhile is written with it. */
  #tell(): void {
    this.#hasNews = true;
    this.#telling ??= this.#write().finally(() => (this.#telling = undefined));
  }

  async #write(): Promise<void> {
    const { client, clock, log } = this.#tools;
    await Promise.resolve();
    while (this.#hasNews && !this.#isGone) {
      this.#hasNews = false;
      const { uid, name, namespace = '' } = this.#pod.metadata;
      const status = this.#status();
      if (isDeepStrictEqual(status, this.#told)) continue;
      try {
        // The uid makes it a conflict to write about another pod of the same name.
        await client.patch(
          pods,
          { namespace, name },
          { metadata: { uid }, status },
          { subresource: 'status' },
        );
        this.#told = status;
      } catch (error) {
        if (isNotFound(error) || isConflict(error)) return;
        log.warn({ error, pod: name }, 'pod status not written');
        this.#hasNews = true;
        await clock.sleep(RETRY_MS, this.#killing.signal).catch(() => undefined);
      }
    }
  }

  #status(): PodStatus {
    const known = { ...this.#pod, status: { ...this.#pod.status, ...this.#told } };
    return podStatus(
      known,
      this.#runners.map(({ record }) => record),
      {
        now: this.#time(),
        hostIP: this.#tools.hostIP,
        podIP: this.address,
        startTime: this.#startTime,
        prepared: this.#volumes !== undefined,
        ending: this.#ending.signal.aborted,
      },
    );
  }

  /** Until it is gone: without this it would be there for ever. */
  async #deleteObject(): Promise<void> {
    const { client, clock, log } = this.#tools;
    const { uid, name, namespace = '' } = this.#pod.metadata;
    while (!this.#isGone) {
      try {
        await client.delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
        return;
      } catch (error) {
        // Another pod has the name by now.
        if (isConflict(error)) return;
        log.warn({ error, pod: name }, 'pod not deleted');
        await clock.sleep(RETRY_MS, this.#killing.signal).catch(() => undefined);
      }
    }
  }

  #event(type: 'Normal' | 'Warning', reason: string, action: string, note: string): void {
    this.#tools.events.record(this.#pod, { type, reason, action, note });
  }

  #time(): string {
    return timeText(this.#tools.clock.now());
  }
}

/** The folder of a pod, which goes with it. */
function podFolder(root: string, uid: string): string {
  return join(root, 'pods', uid);
}

/** The folder that has one for the volume of each claim. */
export function claimsFolder(root: string): string {
  return join(root, 'volumes');
}

/** Of a pod that ran before the node did: its process is gone, and nobody saw how. */
function recordOf(pod: Pod, { name, image = '' }: Container, now: string): ContainerRecord {
  const fresh = { name, image, ready: false, started: false };
  const known = pod.status?.containerStatuses?.find((status) => status.name === name);
  const { containerID } = known ?? {};
  if (known === undefined || containerID === undefined) {
    const waiting = { waiting: { reason: 'ContainerCreating' } };
    return { ...fresh, state: waiting, lastState: {}, restartCount: 0 };
  }
  const { state = {}, lastState = {}, restartCount } = known;
  const lost: ContainerState =
    state.running === undefined
      ? state
      : {
          terminated: {
            exitCode: 255,
            reason: 'Unknown',
            finishedAt: now,
            containerID,
            ...(state.running.startedAt !== undefined && { startedAt: state.running.startedAt }),
          },
        };
  const policy = pod.spec?.restartPolicy;
  const isDone = policy === 'OnFailure' && lost.terminated?.exitCode === 0;
  if (policy === 'Never' || isDone || isOver(pod.status?.phase)) {
    return { ...fresh, state: lost, lastState, restartCount, containerID };
  }
  return {
    ...fresh,
    state: { waiting: { reason: 'ContainerCreating' } },
    lastState: lost.terminated === undefined ? lastState : lost,
    restartCount: restartCount + 1,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
