export type { ClientOptions } from './client/options.js'
export type { CommitOptions, CommitReceipt, HandoffOptions, Transaction } from './client/transaction.js'
export type {
  BeginOptions,
  CommitContextOptions,
  ResumeOptions,
  StepOptions,
  StepResult,
  TransactionStatus,
  Virga,
} from './client/virga.js'
export { type ConnectOptions, connect } from './compose/connect.js'
export { transactionId } from './compose/transaction-id.js'
export type { Consistency } from './core/modes.js'
export { ERROR_CODES, type ErrorCode, type Outcome, VirgaError, type VirgaErrorOptions } from './errors.js'
