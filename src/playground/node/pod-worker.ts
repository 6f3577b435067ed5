import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isConflict, isNotFound } from '../../kube/api-error.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { Stored } from '../../kube/object.ts';
import { pods, type Pod } from '../../kube/resources.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { rfc3339 } from '../api-server/kinds/read.ts';
import { endOfLog, type RunLog } from './container-log.ts';
import { ContainerProcess, type ProcessExit, type Program } from './container-process.ts';
import { containerEnvironment, expand, NotStartableError, type Container } from './environment.ts';
import { firstRecord, isOver, podStatus, type ContainerRecord, type PodStatus } from './pod-status.ts';
import { probeOnce, watchProbe, type ProbeFailure } from './probe.ts';
import { isProjected, makeVolume, type Volume, type VolumeObjects } from './volumes.ts';

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

type Environment = Readonly<Record<string, string>>;

/** After a request that failed. */
const RETRY_MS = 1_000;
/** Until it is tried again to start a container that cannot be started; changes of what it needs are seen at once. */
const LOOK_AGAIN_MS = 5_000;
/** Restarts: at once, then after 10 s, 20 s and so on; anew when it has run for a while. */
const BACKOFF = { firstMs: 10_000, longestMs: 300_000, resetMs: 600_000 };
/** What is left for SIGTERM when preStop has taken the whole grace period. */
const LEAST_GRACE_MS = 2_000;
const LONGEST_MESSAGE = 4096;
const MESSAGE_FROM_LOG = { lines: 80, bytes: 2048 };
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs one pod, which has one container: from its volumes to the end of its last process, again and again as its restart
 * policy says, telling the API server how it goes.
 */
export class PodWorker {
  readonly address: string;
  /** Resolves when its process has ended and its object is gone or will be told of no more. */
  readonly finished: Promise<void>;
  readonly #tools: PodTools;
  readonly #folder: string;
  readonly #record: ContainerRecord;
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
    this.#folder = join(tools.folder, 'pods', pod.metadata.uid);
    this.#startTime = pod.status?.startTime ?? this.#time();
    this.#record = firstRecord(pod, this.#time());
    this.update(pod);
    this.finished = this.#run();
  }

  /** A newer state of its object. */
  update(pod: Stored<Pod>): void {
    const isSame = isDeepStrictEqual(pod.spec, this.#pod.spec);
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#end((pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000);
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
  }

  /** The node ends: the process does, within `graceMs`, and the object stays as it is, for the next start. */
  async stop(graceMs: number): Promise<void> {
    this.#isGone = true;
    this.#end(graceMs);
    await this.finished;
  }

  log(previous: boolean): RunLog {
    const { restartCount } = this.#record;
    const isRunning = (): boolean =>
      this.#record.restartCount === restartCount && this.#record.state.running !== undefined;
    return { path: this.#logPath(Number(previous)), isRunning: () => !previous && isRunning() };
  }

  #end(graceMs: number): void {
    this.#graceMs = graceMs;
    this.#ending.abort();
    this.#deleted.resolve();
  }

  async #run(): Promise<void> {
    try {
      if (!isOver(this.#pod.status?.phase)) {
        await mkdir(this.#folder, { recursive: true, mode: 0o700 });
        this.#tell();
        await this.#runContainer();
        this.#ending.abort();
        this.#tell();
      }
      await this.#deleted.promise;
      await this.#telling;
      await this.#deleteObject();
    } catch (error) {
      this.#tools.log.error({ error, pod: this.#pod.metadata.name }, 'pod worker failed');
    }
  }

  /** Until it is to be started no more. */
  async #runContainer(): Promise<void> {
    const record = this.#record;
    const { clock } = this.#tools;
    // It ended before this node began.
    if (record.state.terminated !== undefined) return;
    let crashes = 0;
    while (!this.#ending.signal.aborted) {
      const ready = await this.#prepare();
      if (ready === undefined) continue;
      const startedAt = clock.monotonic();
      const exitCode = await this.#runOnce(ready.container, ready.environment);
      const policy = this.#pod.spec?.restartPolicy;
      if (this.#ending.signal.aborted || policy === 'Never' || (policy === 'OnFailure' && exitCode === 0))
        return;
      if (clock.monotonic() - startedAt > BACKOFF.resetMs) crashes = 0;
      record.lastState = record.state;
      if (crashes > 0) await this.#backOff(crashes);
      if (!this.#ending.signal.aborted) record.restartCount += 1;
      crashes += 1;
    }
    // How it ended the last time is how it ended.
    if (record.lastState.terminated !== undefined) record.state = record.lastState;
  }

  /** What to start; undefined after a while in which it could not be started. */
  async #prepare(): Promise<
    { readonly container: Container; readonly environment: Environment } | undefined
  > {
    const tools = this.#tools;
    try {
      const container = onlyContainer(this.#pod, tools.image);
      this.#volumes ??= await this.#makeVolumes(() => true);
      const { namespace = '' } = this.#pod.metadata;
      return { container, environment: containerEnvironment(container, tools.objects(namespace)) };
    } catch (error) {
      if (!(error instanceof NotStartableError)) throw error;
      const { reason, message } = error;
      if (this.#record.state.waiting?.message !== message) {
        this.#wait(reason, message);
        const event = reason === 'ContainerCreating' ? 'FailedMount' : 'Failed';
        this.#event('Warning', event, 'Starting', message);
      }
      const signal = AbortSignal.any([this.#ending.signal, this.#wake.signal]);
      await tools.clock.sleep(LOOK_AGAIN_MS, signal).catch(() => undefined);
      return undefined;
    }
  }

  async #backOff(crashes: number): Promise<void> {
    const { name, namespace, uid } = this.#pod.metadata;
    const pause = Math.min(BACKOFF.longestMs, BACKOFF.firstMs * 2 ** (crashes - 1));
    const which = `container=${this.#record.name} pod=${name}_${namespace}(${uid})`;
    this.#wait('CrashLoopBackOff', `back-off ${pause / 1000}s restarting failed ${which}`);
    this.#event('Warning', 'BackOff', 'Restarting', `Back-off restarting failed ${which}`);
    await this.#tools.clock.sleep(pause, this.#ending.signal).catch(() => undefined);
  }

  /** @throws {NotStartableError} */
  async #makeVolumes(which: (volume: Volume) => boolean): Promise<Map<string, string>> {
    const folders = { pod: join(this.#folder, 'volumes'), claims: claimsFolder(this.#tools.folder) };
    const objects = this.#tools.objects(this.#pod.metadata.namespace ?? '');
    const made = new Map<string, string>();
    for (const volume of (this.#pod.spec?.volumes ?? []).filter(which)) {
      try {
        made.set(volume.name, await makeVolume(volume, folders, objects));
      } catch (error) {
        const why = `MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`;
        throw new NotStartableError('ContainerCreating', why);
      }
    }
    return made;
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

  /** One run, from its start to its end, with its probes; gives the exit code. */
  async #runOnce(container: Container, environment: Environment): Promise<number> {
    const record = this.#record;
    const startedAt = this.#time();
    const containerID = `stevedore://${randomUUID()}`;
    const messageFile = join(this.#folder, 'message');
    await writeFile(messageFile, '');
    await rm(this.#logPath(2), { force: true });
    const process = this.#start(container, environment, messageFile);
    record.containerID = containerID;
    record.state = { running: { startedAt } };
    this.#event('Normal', 'Started', 'Starting', `Started container ${record.name}`);

    const exit = await this.#watch(container, process);
    record.ready = record.started = false;
    const { exitCode } = exit;
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    const message = await this.#terminationMessage(container, exit, messageFile);
    const times = { startedAt, finishedAt: this.#time() };
    record.state = { terminated: { ...exit, reason, ...message, ...times, containerID } };
    this.#tell();
    return exitCode;
  }

  #start(container: Container, environment: Environment, messageFile: string): ContainerProcess {
    const { clock, program, folder } = this.#tools;
    const mounts = (container.volumeMounts ?? []).flatMap(({ name, mountPath, subPath = '' }) => {
      const target = this.#volumes?.get(name);
      const path = mountPath.replace(/(?<=.)\/+$/, '');
      return target === undefined ? [] : [{ path, target: join(target, subPath) }];
    });
    const { terminationMessagePath = '/dev/termination-log', args = [] } = container;
    return new ContainerProcess({
      program,
      place: {
        address: this.address,
        mounts: [...mounts, { path: terminationMessagePath, target: messageFile }],
        untouched: [program.folder, folder],
      },
      folder: this.#folder,
      args: args.map((argument) => expand(argument, environment)),
      environment: { PATH, HOSTNAME: this.#pod.metadata.name, ...environment },
      log: this.#logPath(),
      clock,
    });
  }

  /** Resolves when the process has ended: by itself, by a probe, or since the pod is to end. */
  async #watch(container: Container, process: ContainerProcess): Promise<ProcessExit> {
    const record = this.#record;
    const over = new AbortController();
    const stop = (why: string, graceMs: number, withPreStop: boolean): void => {
      over.abort();
      this.#event('Normal', 'Killing', 'Stopping', why);
      void this.#stop(container, process, graceMs, withPreStop);
    };
    const kill = (failure: ProbeFailure, which: string): void => {
      const seconds = this.#pod.spec?.terminationGracePeriodSeconds ?? 30;
      const why = `Container ${record.name} failed ${which} probe, will be restarted: ${failure ?? ''}`;
      stop(why, seconds * 1000, true);
    };
    const begin = (): void => {
      record.started = true;
      record.ready = container.readinessProbe === undefined;
      this.#tell();
      this.#probe(container, 'readiness', over.signal, (success) => {
        if (record.ready === success) return;
        record.ready = success;
        this.#tell();
      });
      this.#probe(container, 'liveness', over.signal, (success, failure) => {
        if (!success) kill(failure, 'liveness');
      });
    };
    const end = (): void => stop(`Stopping container ${record.name}`, this.#graceMs, !this.#isGone);
    this.#tell();
    if (container.startupProbe === undefined) begin();
    else {
      const starting = new AbortController();
      const signal = AbortSignal.any([starting.signal, over.signal]);
      this.#probe(container, 'startup', signal, (success, failure) => {
        starting.abort();
        if (success) begin();
        else kill(failure, 'startup');
      });
    }
    if (this.#ending.signal.aborted) end();
    else this.#ending.signal.addEventListener('abort', end, { once: true });
    const exit = await process.exited;
    this.#ending.signal.removeEventListener('abort', end);
    over.abort();
    return exit;
  }

  #probe(
    container: Container,
    which: 'startup' | 'readiness' | 'liveness',
    signal: AbortSignal,
    verdict: (success: boolean, failure: ProbeFailure) => void,
  ): void {
    const probe = container[`${which}Probe`];
    if (probe === undefined) return;
    const failed = (failure: string): void => {
      const note = `${which[0]?.toUpperCase()}${which.slice(1)} probe failed: ${failure}`;
      // Before it listens nobody wonders that it does not answer.
      if (which !== 'startup') this.#event('Warning', 'Unhealthy', 'Probing', note);
    };
    const look = (): Promise<ProbeFailure> => probeOnce(probe, container, this.address);
    void watchProbe({ probe, look, verdict, failed, clock: this.#tools.clock }, signal);
  }

  /** preStop, SIGTERM, SIGKILL, all within the grace period. */
  async #stop(
    { lifecycle }: Container,
    process: ContainerProcess,
    graceMs: number,
    withPreStop: boolean,
  ): Promise<void> {
    const wantedMs = withPreStop ? (lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000 : 0;
    const sleepMs = Math.min(graceMs, wantedMs);
    const { signal } = this.#killing;
    if (sleepMs > 0) await this.#tools.clock.sleep(sleepMs, signal).catch(() => undefined);
    await process.stop(Math.max(LEAST_GRACE_MS, graceMs - sleepMs), signal);
  }

  async #terminationMessage(
    { terminationMessagePolicy }: Container,
    { exitCode }: ProcessExit,
    messageFile: string,
  ): Promise<{ readonly message?: string }> {
    const bytes = await readFile(messageFile).catch(() => Buffer.alloc(0));
    const usesLog = terminationMessagePolicy === 'FallbackToLogsOnError' && exitCode !== 0;
    const message =
      bytes.length === 0 && usesLog
        ? await endOfLog(this.#logPath(), MESSAGE_FROM_LOG.lines, MESSAGE_FROM_LOG.bytes)
        : bytes.subarray(0, LONGEST_MESSAGE).toString();
    return message === '' ? {} : { message };
  }

  #wait(reason: string, message: string): void {
    this.#record.state = { waiting: { reason, message } };
    this.#tell();
  }

  /** Of the present run, or of one some runs ago. */
  #logPath(ago = 0): string {
    return join(this.#folder, `${this.#record.restartCount - ago}.log`);
  }

  /** Writes the status soon; what changes meanwhile is written with it. */
  #tell(): void {
    this.#hasNews = true;
    this.#telling ??= this.#write().finally(() => (this.#telling = undefined));
  }

  async #write(): Promise<void> {
    await Promise.resolve();
    while (this.#hasNews && !this.#isGone) {
      this.#hasNews = false;
      const { uid, name, namespace = '' } = this.#pod.metadata;
      const status = this.#status();
      if (isDeepStrictEqual(status, this.#told)) continue;
      // The uid makes it a conflict to write about another pod of the same name.
      const change = { metadata: { uid }, status };
      const write = this.#tools.client.patch(pods, { namespace, name }, change, { subresource: 'status' });
      const isWritten = await write.then(() => true).catch((error: unknown) => this.#failed(error));
      if (isWritten === undefined) return;
      if (isWritten) this.#told = status;
      else this.#hasNews = true;
    }
  }

  #status(): PodStatus {
    const known = { ...this.#pod, status: { ...this.#pod.status, ...this.#told } };
    return podStatus(known, this.#record, {
      now: this.#time(),
      hostIP: this.#tools.hostIP,
      podIP: this.address,
      startTime: this.#startTime,
      prepared: this.#volumes !== undefined,
      ending: this.#ending.signal.aborted,
    });
  }

  /** Until it is gone: without this it would be there for ever. */
  async #deleteObject(): Promise<void> {
    const { uid, name, namespace = '' } = this.#pod.metadata;
    while (!this.#isGone) {
      const deletion = this.#tools.client.delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
      const isDone = await deletion.then(() => true).catch((error: unknown) => this.#failed(error));
      if (isDone !== false) return;
    }
  }

  /** Of a request: undefined where there is no such pod any more; otherwise false after a pause. */
  async #failed(cause: unknown): Promise<false | undefined> {
    const { clock, log } = this.#tools;
    if (isNotFound(cause) || isConflict(cause)) return undefined;
    log.warn({ error: cause, pod: this.#pod.metadata.name }, 'pod not written');
    await clock.sleep(RETRY_MS, this.#killing.signal).catch(() => undefined);
    return false;
  }

  #event(type: 'Normal' | 'Warning', reason: string, action: string, note: string): void {
    this.#tools.events.record(this.#pod, { type, reason, action, note });
  }

  #time(): string {
    return rfc3339(this.#tools.clock.now());
  }
}

/** The container of a pod that this node can run. @throws {NotStartableError} */
function onlyContainer({ spec }: Pod, image: string): Container {
  const [container, other] = spec?.containers ?? [];
  if (container === undefined || other !== undefined || container.command !== undefined) {
    const why = "this node runs one container of a pod, and in it the image's own program";
    throw new NotStartableError('CreateContainerConfigError', why);
  }
  if (container.image === image) return container;
  const why = `failed to pull image "${container.image}": this node pulls nothing, and runs ${image} alone`;
  throw new NotStartableError('ErrImagePull', why);
}

/** The folder that has one for the volume of each claim. */
export function claimsFolder(root: string): string {
  return join(root, 'volumes');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
