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
import { ContainerLog, lastLines } from './container-log.ts';
import { ContainerProcess, type ProcessExit, type Program } from './container-process.ts';
import { containerEnvironment, expand, type Container } from './environment.ts';
import {
  isOver,
  podStatus,
  type ContainerRecord,
  type ContainerState,
  type PodStatus,
} from './pod-status.ts';
import { probeOnce, watchProbe, type Probe, type ProbeFailure } from './probe.ts';
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

/** A container's restarts: at once, then after 10 s, 20 s and so on; anew when it has run for a while. */
const BACKOFF = { firstMs: 10_000, longestMs: 300_000, resetMs: 600_000 };
const VOLUME_RETRY_MS = 5_000;
/** What is left for SIGTERM when preStop has taken the whole grace period. */
const LEAST_GRACE_MS = 2_000;
const LONGEST_MESSAGE = 4096;
const MESSAGE_FROM_LOG = { lines: 80, bytes: 2048 };

/** Runs one pod: from its volumes to the end of its processes, telling the API server how it goes. */
export class PodWorker {
  readonly address: string;
  /** Resolves when its processes have ended and its object is gone or will be told of no more. */
  readonly finished: Promise<void>;
  readonly #tools: PodTools;
  readonly #folder: string;
  readonly #records: readonly ContainerRecord[];
  readonly #processes = new Map<string, ContainerProcess>();
  readonly #logs = new Map<string, ContainerLog>();
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
  #failure: { readonly reason: string; readonly message: string } | undefined;
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
    this.#records = (pod.spec?.containers ?? []).map((container) => recordOf(pod, container, this.#time()));
    this.update(pod);
    this.finished = this.#run();
  }

  /** A newer state of its object. */
  update(pod: Stored<Pod>): void {
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#end((pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000);
      this.#deleted.resolve();
    }
    this.refresh();
  }

  /** Something that it refers to has changed. */
  refresh(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
    if (this.#volumes !== undefined && !this.#ending.signal.aborted) void this.#updateVolumes();
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

  /** The file of a container's log, and the log itself while its run goes on. */
  log(
    name: string,
    previous: boolean,
  ): { readonly path: string; readonly running: ContainerLog | undefined } {
    const restarts =
      (this.#records.find((record) => record.name === name)?.restartCount ?? 0) - Number(previous);
    return {
      path: this.#logPath(name, restarts),
      running: previous ? undefined : this.#logs.get(name),
    };
  }

  async #run(): Promise<void> {
    const { log } = this.#tools;
    try {
      if (!isOver(this.#pod.status?.phase)) await this.#runContainers();
      await this.#deleted.promise;
      await this.#telling;
      if (!this.#isGone) await this.#deleteObject();
    } catch (error) {
      log.error({ error, pod: this.#pod.metadata.name }, 'pod worker failed');
    }
  }

  async #runContainers(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    this.#tell();
    const deadline = this.#pod.spec?.activeDeadlineSeconds;
    if (deadline !== undefined) void this.#endAfter(deadline);
    await this.#prepareVolumes();
    await Promise.all(this.#records.map((record) => this.#runContainer(record)));
    this.#ending.abort();
    this.#tell();
    await this.#telling;
  }

  async #endAfter(seconds: number): Promise<void> {
    const elapsed = this.#tools.clock.now() - Date.parse(this.#startTime);
    const left = Math.max(0, seconds * 1000 - elapsed);
    await this.#tools.clock.sleep(left, this.#ending.signal).catch(() => undefined);
    if (this.#ending.signal.aborted) return;
    this.#failure = {
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
    this.#end((this.#pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000);
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

  /** Runs a container until it is to be started no more. */
  async #runContainer(record: ContainerRecord): Promise<void> {
    // It ended before this node began.
    if (record.state.terminated !== undefined) return;
    let crashes = 0;
    while (!this.#ending.signal.aborted) {
      const container = this.#container(record.name);
      if (!(await this.#hasImage(record, container))) continue;
      const startedAt = this.#tools.clock.monotonic();
      const prepared = await this.#prepareContainer(record, container);
      if (prepared === undefined) continue;
      const exitCode = await this.#runOnce(record, container, prepared);
      const policy = this.#pod.spec?.restartPolicy;
      if (policy === 'Never' || (policy === 'OnFailure' && exitCode === 0)) return;
      if (this.#ending.signal.aborted) return;
      if (this.#tools.clock.monotonic() - startedAt > BACKOFF.resetMs) crashes = 0;
      await this.#backOff(record, crashes++);
    }
    if (record.state.waiting !== undefined && record.lastState.terminated !== undefined) {
      record.state = record.lastState;
    }
  }

  async #backOff(record: ContainerRecord, crashes: number): Promise<void> {
    const { name, namespace, uid } = this.#pod.metadata;
    if (crashes > 0) {
      const pause = Math.min(BACKOFF.longestMs, BACKOFF.firstMs * 2 ** (crashes - 1));
      const which = `container=${record.name} pod=${name}_${namespace}(${uid})`;
      const message = `back-off ${goSeconds(pause)} restarting failed ${which}`;
      record.lastState = record.state;
      this.#wait(record, 'CrashLoopBackOff', message);
      this.#event('Warning', 'BackOff', 'Restarting', `Back-off restarting failed ${which}`);
      await this.#tools.clock.sleep(pause, this.#ending.signal).catch(() => undefined);
      if (this.#ending.signal.aborted) return;
    } else record.lastState = record.state;
    record.restartCount += 1;
  }

  /** True when the image is here; otherwise waits a while, as for an image that cannot be pulled. */
  async #hasImage(record: ContainerRecord, { image = '', imagePullPolicy }: Container): Promise<boolean> {
    if (image === this.#tools.image) return true;
    if (imagePullPolicy === 'Never') {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      this.#wait(record, 'ErrImageNeverPull', message);
      await this.#pause(BACKOFF.longestMs);
      return false;
    }
    const why = `failed to pull image "${image}": this node pulls nothing, and runs ${this.#tools.image} alone`;
    if (record.state.waiting?.reason !== 'ImagePullBackOff') {
      this.#wait(record, 'ErrImagePull', why);
      this.#event('Warning', 'Failed', 'Pulling', `Failed to pull image "${image}": ${why}`);
      await this.#pause(BACKOFF.firstMs);
    }
    this.#wait(record, 'ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${why}`);
    await this.#pause(BACKOFF.longestMs);
    return false;
  }

  async #prepareContainer(
    record: ContainerRecord,
    container: Container,
  ): Promise<Readonly<Record<string, string>> | undefined> {
    try {
      const withAddress = {
        ...this.#pod,
        status: { ...this.#pod.status, podIP: this.address, hostIP: this.#tools.hostIP },
      };
      return containerEnvironment(
        withAddress,
        container,
        this.#tools.objects(this.#pod.metadata.namespace ?? ''),
      );
    } catch (error) {
      this.#wait(record, 'CreateContainerConfigError', messageOf(error));
      this.#event('Warning', 'Failed', 'Creating', `Error: ${messageOf(error)}`);
      await this.#pause(BACKOFF.firstMs);
      return undefined;
    }
  }

  /** One run, from its start to its end, with its probes; gives the exit code. */
  async #runOnce(
    record: ContainerRecord,
    container: Container,
    environment: Readonly<Record<string, string>>,
  ): Promise<number> {
    const { clock, program } = this.#tools;
    const startedAt = this.#time();
    const containerID = `stevedore://${randomUUID()}`;
    record.containerID = containerID;
    if (container.command !== undefined) {
      const message = `exec: "${container.command[0] ?? ''}": executable file not found in $PATH: this node runs the image's own program alone`;
      const failed = { exitCode: 128, reason: 'StartError', message };
      record.state = { terminated: { ...failed, startedAt, finishedAt: startedAt, containerID } };
      this.#event('Warning', 'Failed', 'Starting', `Error: ${message}`);
      this.#tell();
      return failed.exitCode;
    }
    const messageFile = join(this.#folder, `${record.name}.message`);
    await writeFile(messageFile, '');
    const logPath = this.#logPath(record.name, record.restartCount);
    await rm(this.#logPath(record.name, record.restartCount - 2), { force: true });
    const log = await ContainerLog.create(logPath, () => clock.now());
    const process = new ContainerProcess({
      program,
      place: {
        address: this.address,
        mounts: [
          ...this.#mounts(container),
          { path: container.terminationMessagePath ?? '/dev/termination-log', target: messageFile },
        ],
        untouched: [program.folder, this.#tools.folder],
      },
      folder: this.#folder,
      args: (container.args ?? []).map((argument) => expand(argument, environment)),
      environment: {
        PATH: '/usr/local/bin:/usr/bin:/bin',
        HOSTNAME: this.#pod.metadata.name,
        ...environment,
      },
      log,
      clock,
    });
    this.#processes.set(record.name, process);
    this.#logs.set(record.name, log);
    record.state = { running: { startedAt } };
    record.started = container.startupProbe === undefined;
    record.ready = record.started && container.readinessProbe === undefined;
    this.#event('Normal', 'Started', 'Starting', `Started container ${record.name}`);
    this.#tell();

    const exit = await this.#watchRun(record, container, process);
    this.#processes.delete(record.name);
    this.#logs.delete(record.name);
    record.ready = false;
    record.started = false;
    record.state = {
      terminated: {
        ...exitState(exit),
        ...(await this.#terminationMessage(container, exit, messageFile, logPath)),
        startedAt,
        finishedAt: this.#time(),
        containerID,
      },
    };
    this.#tell();
    return exit.exitCode;
  }

  /** Resolves when the process has ended: by itself, by its liveness probe, or since the pod is to end. */
  async #watchRun(
    record: ContainerRecord,
    container: Container,
    process: ContainerProcess,
  ): Promise<ProcessExit> {
    const over = new AbortController();
    const kill = (failure: ProbeFailure, which: string): void => {
      const note = `Container ${record.name} failed ${which} probe, will be restarted: ${failure ?? ''}`;
      this.#event('Normal', 'Killing', 'Stopping', note);
      over.abort();
      void this.#stopProcess(
        container,
        process,
        (this.#pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000,
      );
    };
    const watch = (
      which: string,
      probe: Probe,
      verdict: (success: boolean, failure: ProbeFailure) => void,
      signal: AbortSignal,
    ): void => {
      const failed = (failure: string): void => {
        if (record.started || which !== 'Startup')
          this.#event('Warning', 'Unhealthy', 'Probing', `${which} probe failed: ${failure}`);
      };
      const look = (asked: Probe): Promise<ProbeFailure> => probeOnce(asked, container, this.address);
      void watchProbe({ probe, look, verdict, failed, clock: this.#tools.clock }, signal);
    };
    const begin = (): void => {
      const { readinessProbe, livenessProbe } = container;
      record.started = true;
      if (readinessProbe === undefined) record.ready = true;
      else {
        watch('Readiness', readinessProbe, (success) => this.#setReady(record, success), over.signal);
      }
      if (livenessProbe !== undefined) {
        watch(
          'Liveness',
          livenessProbe,
          (success, failure) => void (success || kill(failure, 'liveness')),
          over.signal,
        );
      }
      this.#tell();
    };
    if (container.startupProbe === undefined) begin();
    else {
      const starting = new AbortController();
      const decide = (success: boolean, failure: ProbeFailure): void => {
        starting.abort();
        if (success) begin();
        else kill(failure, 'startup');
      };
      watch('Startup', container.startupProbe, decide, AbortSignal.any([starting.signal, over.signal]));
    }
    const end = (): void => {
      this.#event('Normal', 'Killing', 'Stopping', `Stopping container ${record.name}`);
      void this.#stopProcess(container, process, this.#graceMs);
    };
    if (this.#ending.signal.aborted) end();
    else this.#ending.signal.addEventListener('abort', end, { once: true });
    const exit = await process.exited;
    this.#ending.signal.removeEventListener('abort', end);
    over.abort();
    return exit;
  }

  /** preStop, SIGTERM, SIGKILL, all within the grace period. */
  async #stopProcess(container: Container, process: ContainerProcess, graceMs: number): Promise<void> {
    const sleepMs = Math.min(graceMs, (container.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000);
    if (sleepMs > 0 && !this.#isGone) {
      await this.#tools.clock.sleep(sleepMs, this.#killing.signal).catch(() => undefined);
    }
    const left = this.#isGone ? graceMs : Math.max(LEAST_GRACE_MS, graceMs - sleepMs);
    await process.stop(left, this.#killing.signal);
  }

  #setReady(record: ContainerRecord, ready: boolean): void {
    if (record.ready === ready) return;
    record.ready = ready;
    this.#tell();
  }

  #mounts(container: Container) {
    return (container.volumeMounts ?? []).flatMap(({ name, mountPath, subPath = '' }) => {
      const folder = this.#volumes?.get(name);
      return folder === undefined
        ? []
        : [{ path: mountPath.replace(/(?<=.)\/+$/, ''), target: join(folder, subPath) }];
    });
  }

  async #terminationMessage(
    container: Container,
    { exitCode }: ProcessExit,
    messageFile: string,
    logPath: string,
  ): Promise<{ readonly message?: string }> {
    const written = (await readFile(messageFile).catch(() => Buffer.alloc(0)))
      .subarray(0, LONGEST_MESSAGE)
      .toString();
    if (written !== '') return { message: written };
    if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return {};
    const message = await lastLines(logPath, MESSAGE_FROM_LOG.lines, MESSAGE_FROM_LOG.bytes);
    return message === '' ? {} : { message };
  }

  #wait(record: ContainerRecord, reason: string, message: string): void {
    record.state = { waiting: { reason, message } };
    this.#tell();
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
        await clock.sleep(1000, this.#killing.signal).catch(() => undefined);
      }
    }
  }

  #status(): PodStatus {
    const known = { ...this.#pod, status: { ...this.#pod.status, ...this.#told } };
    return podStatus(known, this.#records, {
      now: this.#time(),
      hostIP: this.#tools.hostIP,
      podIP: this.address,
      startTime: this.#startTime,
      prepared: this.#volumes !== undefined,
      failure: this.#failure,
      ending: this.#ending.signal.aborted,
    });
  }

  async #deleteObject(): Promise<void> {
    const { uid, name, namespace = '' } = this.#pod.metadata;
    await this.#tools.client
      .delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 })
      .catch((error: unknown) => {
        if (!isConflict(error)) throw error;
      });
  }

  #container(name: string): Container {
    const found = this.#pod.spec?.containers.find((container) => container.name === name);
    if (found === undefined) throw new Error(`the pod has no container ${name} any more`);
    return found;
  }

  #logPath(name: string, restarts: number): string {
    return join(this.#folder, `${name}.${restarts}.log`);
  }

  #event(type: 'Normal' | 'Warning', reason: string, action: string, note: string): void {
    this.#tools.events.record(this.#pod, { type, reason, action, note });
  }

  #time(): string {
    return `${new Date(this.#tools.clock.now()).toISOString().slice(0, 19)}Z`;
  }
}

/** The folder of a pod, which goes with it. */
export function podFolder(root: string, uid: string): string {
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

function exitState({ exitCode, signal }: ProcessExit) {
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  return { exitCode, reason, ...(signal !== undefined && { signal }) };
}

function goSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
