import type { ExplainedCondition, FleetEntry } from '../operator/fleet.ts';
import type { Findings } from '../operator/look-into.ts';
import { bytesText } from '../process/bytes-text.ts';

/** The tables of `stevedore status`. `now`: milliseconds since the epoch. */
export function fleetText(fleet: readonly FleetEntry[], now: number): string {
  if (fleet.length === 0) {
    return 'There is no Registry, RegistryMirror or RegistryGC. examples/ has some to start with.\n';
  }
  const serving = fleet.flatMap((entry) => (entry.serving === undefined ? [] : [servingRow(entry, now)]));
  const collecting = fleet.flatMap((entry) =>
    entry.collection === undefined ? [] : [collectionRow(entry, now)],
  );
  return [
    ...(serving.length === 0
      ? []
      : [
          table(
            ['KIND', 'NAMESPACE', 'NAME', 'READY', 'PODS', 'READ-ONLY', 'CERTIFICATE', 'URL', 'TROUBLES'],
            serving,
          ),
        ]),
    ...(collecting.length === 0
      ? []
      : [
          table(
            ['KIND', 'NAMESPACE', 'NAME', 'READY', 'REGISTRY', 'LAST RUN', 'RECLAIMED', 'NEXT'],
            collecting,
          ),
        ]),
    summary(fleet),
  ].join('\n');
}

function servingRow(entry: FleetEntry, now: number): readonly string[] {
  const { url, pods, certificateUntil, readOnly } = entry.serving ?? {};
  return [
    ...head(entry),
    pods ?? '-',
    readOnly ?? 'no',
    certificateUntil === undefined ? '-' : until(certificateUntil, now),
    url ?? '-',
    entry.troubles.filter((type) => type !== 'Ready').join(', ') || '-',
  ];
}

function collectionRow(entry: FleetEntry, now: number): readonly string[] {
  const { registry, lastRun, nextRunTime } = entry.collection ?? {};
  return [
    ...head(entry),
    registry ?? '',
    lastRun === undefined
      ? '-'
      : `${lastRun.result ?? 'going on'}${ago(lastRun.completionTime ?? lastRun.startTime, now)}`,
    lastRun?.bytesReclaimed === undefined ? '-' : bytesText(lastRun.bytesReclaimed),
    nextRunTime === undefined ? '-' : until(nextRunTime, now),
  ];
}

function head({ kind, namespace, name, ready, reason }: FleetEntry): readonly string[] {
  return [kind, namespace, name, ready === 'True' ? 'True' : `${ready} (${reason})`];
}

function summary(fleet: readonly FleetEntry[]): string {
  const wrong = fleet.filter(({ ready, troubles }) => ready !== 'True' || troubles.length > 0);
  const [first] = wrong;
  if (first === undefined) return 'Everything is as it should be.\n';
  const word = { RegistryMirror: 'mirror', RegistryGC: 'gc' }[first.kind] ?? 'registry';
  return `${wrong.length} of ${fleet.length} with troubles: stevedore status ${word} ${first.name} -n ${first.namespace} explains the first.\n`;
}

/** The page of `stevedore status registry NAME`. */
export function findingsText(findings: Findings, now: number): string {
  const { kind, namespace, name, serving, certificate, users, pods, collections, collection } = findings;
  const lines = [`${kind} ${namespace}/${name}${serving?.url === undefined ? '' : `  ${serving.url}`}`, ''];
  if (findings.conditions.length === 0) lines.push(`  ${findings.reason}: ${findings.message}`);
  for (const condition of findings.conditions) lines.push(...conditionLines(condition, now));
  if (certificate !== undefined) {
    const renewal =
      certificate.renewalTime === undefined ? '' : `, renewed ${until(certificate.renewalTime, now)}`;
    const served = certificate.serving ? '' : ', not served yet';
    lines.push(
      '',
      `Certificate: ${certificate.serial}, ends ${until(certificate.notAfter, now)}${renewal}${served}`,
    );
  }
  if (users !== undefined) {
    lines.push('', `Users: ${users.count}`);
    for (const { name: user, message } of users.errors ?? []) lines.push(`  ${user}: ${message}`);
  }
  for (const { host, reachable, lastError } of findings.upstreams ?? []) {
    const state = reachable === true ? 'answers' : (lastError ?? 'was not asked yet');
    lines.push(`Upstream ${host}: ${state}`);
  }
  if (serving !== undefined) {
    lines.push('', `Pods: ${pods.length === 0 ? 'none' : ''}`.trimEnd());
    for (const pod of pods) {
      const where = pod.node === undefined ? '' : ` on ${pod.node}`;
      const restarts = pod.restarts === 0 ? '' : `, ${pod.restarts} restarts`;
      lines.push(`  ${pod.name}: ${pod.phase}${pod.ready ? ', ready' : ', not ready'}${where}${restarts}`);
      if (pod.problem !== undefined) lines.push(`    ${pod.problem}`);
    }
  }
  for (const entry of collection === undefined ? collections : [findings])
    lines.push('', ...collectionLines(entry, now));
  return `${lines.join('\n')}\n`;
}

function conditionLines(condition: ExplainedCondition, now: number): readonly string[] {
  const { type, status, reason, message, trouble, remedy, lastTransitionTime } = condition;
  return [
    `${trouble ? '!' : ' '} ${type}: ${status}, ${reason}${ago(lastTransitionTime, now)}`,
    ...message.split('\n').map((line) => `    ${line}`),
    ...(trouble && remedy !== undefined ? [`    What to do: ${remedy}`] : []),
  ];
}

function collectionLines({ name, reason, collection }: FleetEntry, now: number): readonly string[] {
  const { lastRun, nextRunTime } = collection ?? {};
  const next = nextRunTime === undefined ? '' : `, next ${until(nextRunTime, now)}`;
  const lines = [`Garbage collection ${name}: ${reason}${next}`];
  if (lastRun === undefined) return lines;
  const { result, completionTime, startTime, bytesReclaimed, readOnlySeconds, message } = lastRun;
  const freed = bytesReclaimed === undefined ? '' : `, ${bytesText(bytesReclaimed)} came back`;
  const held = readOnlySeconds === undefined ? '' : `, writes were held for ${readOnlySeconds} s`;
  return [
    ...lines,
    `  Last run: ${result ?? 'going on'}${ago(completionTime ?? startTime, now)}${freed}${held}`,
    ...(message === undefined || message === '' ? [] : [`    ${message}`]),
  ];
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [titles, ...rows];
  const widths = titles.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

/** ` 3h ago`, with the blank before it; nothing for a time that is not known. */
function ago(time: string | undefined, now: number): string {
  return time === undefined ? '' : ` ${span(now - Date.parse(time))} ago`;
}

function until(time: string, now: number): string {
  const left = Date.parse(time) - now;
  return left < 0 ? `${span(-left)} ago` : `in ${span(left)}`;
}

/** As kubectl writes ages: one unit, or two where one would be coarse. */
function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
