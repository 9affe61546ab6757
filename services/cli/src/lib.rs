//! The wardstream command.
