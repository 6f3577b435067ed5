import type { StatusDocument } from '../contract/status-document.ts';
import type { Stalled, Waiting } from '../kube/outcome.ts';
import type { Deployment, PersistentVolumeClaim, Pod } from '../kube/resources.ts';
import type { UserProblem } from './password.ts';

/** What one look at a Registry's world found. Conditions and status follow from it, and from nothing else. */
export interface RegistryFacts {
  /** The step that could not go on; the ones after it did not run. */
  readonly halt?: Waiting | Stalled;
  readonly certificate?: CertificateFacts;
  readonly users?: UserFacts;
  readonly claim?: PersistentVolumeClaim;
  /** SHA-256 of the configuration that the pod must serve, in hex. */
  readonly configHash?: string;
  readonly deployment?: Deployment;
  readonly pods: readonly Pod[];
  /** What the servers say of themselves, the newest first; without those that could not be asked. */
  readonly servers: readonly StatusDocument[];
  /** A garbage collection of this Registry goes on. */
  readonly collecting: boolean;
}

/** The server certificate that was issued last. Times are milliseconds since the epoch. */
export interface CertificateFacts {
  /** Lower-case hex. */
  readonly serial: string;
  readonly notAfter: number;
  readonly renewalTime: number;
  /** Why the authority must be changed soon, for people; undefined while it need not. */
  readonly authorityProblem?: string;
}

interface UserFacts {
  /** SHA-256 of the htpasswd file, in hex. */
  readonly hash: string;
  readonly problems: readonly UserProblem[];
}
